package porttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"sluice/pipeline"
)

// LogUnderTest is an event log with what the suite needs besides the port.
type LogUnderTest struct {
	Log pipeline.EventLog
	// Read calls each with every event. It is nil for a log that keeps nothing.
	Read func(ctx context.Context, each func(key, value []byte, headers []pipeline.EventHeader) error) error
	// Stall stalls the backend of the log until resume is called. It is nil without a
	// backend.
	Stall func() (resume func())
	// Close closes the log. It is nil for a log that needs no closing.
	Close func() error
	// SetLimit limits the size in bytes of an event and of a batch. It is nil for a log
	// that takes any size.
	SetLimit func(size int)
}

// EventLog is the conformance suite of pipeline.EventLog. open opens a new, empty log and
// registers its cleanup with t.
func EventLog(t *testing.T, open func(t *testing.T) LogUnderTest) {
	t.Run("extremes", func(t *testing.T) { logExtremes(t, open(t)) })
	t.Run("concurrent", func(t *testing.T) { logConcurrent(t, open(t)) })
	t.Run("never blocks", func(t *testing.T) { logStalled(t, open(t)) })
	t.Run("limit", func(t *testing.T) { logLimit(t, open(t)) })
	t.Run("panics", func(t *testing.T) { logPanics(t, open(t)) })
	t.Run("closed", func(t *testing.T) { logClosed(t, open(t)) })
}

// Stored returns a message that has been stored: it has a blob and no longer a body.
func Stored() *pipeline.Message {
	m := NewMessage([]byte("Message-ID: <1@example.org>\r\n\r\nbody\r\n"))
	m.Result.Blob = pipeline.Blob{
		Store: "dir", Bucket: "mail", Key: m.Key(),
		Length: m.Length(), Added: int64(len(m.Header)), CRC32C: 0xdeadbeef,
	}
	m.Body.Release(pipeline.NewSlabPool(0))
	return m
}

// Extremes returns stored messages with envelopes at the limits of what is allowed, and
// beyond: a log must take whatever the gateway publishes.
func Extremes() map[string]*pipeline.Message {
	bounce := Stored()
	bounce.Envelope.SetReversePath(nil)
	bounce.Envelope.AddRecipient([]byte("postmaster"))

	many := Stored()
	long := bytes.Repeat([]byte{'x'}, 64)
	domain := bytes.Repeat([]byte("abcdefghi."), 18)
	for i := range 999 {
		address := fmt.Appendf(nil, "%s@%d.%sexample", long, i, domain)
		many.Envelope.AddRecipient(address)
	}

	eightBit := Stored()
	eightBit.Client.Helo = "h\xf6st\x00\x1f\x7f\"\\\u2028.example"
	eightBit.Summary.MessageID = []byte("<\xff\xfe\x80\"\\\x01\t>")
	eightBit.Envelope.SetReversePath([]byte("\"a\\\"b\"@example.org"))
	eightBit.Envelope.AddRecipient([]byte("\"\xc3\x28\"@example.net"))

	return map[string]*pipeline.Message{
		"null reverse path": bounce, "1000 recipients": many, "8-bit": eightBit,
	}
}

func logExtremes(t *testing.T, l LogUnderTest) {
	want := map[string][]byte{}
	for name, m := range Extremes() {
		id, value := m.ID.String(), pipeline.AppendEvent(nil, m)
		sent, err := Announce(l.Log, m)
		if err != nil || sent.Err != nil {
			t.Fatalf("%s: %v %v", name, err, sent.Err)
		}
		want[id] = value
	}
	checkLog(t, l, want)
}

// checkLog compares all events in the log with want, which has those published by id.
func checkLog(t *testing.T, l LogUnderTest, want map[string][]byte) {
	t.Helper()
	if l.Read == nil {
		return
	}
	seen := map[string]int{}
	err := l.Read(context.Background(), func(key, value []byte, _ []pipeline.EventHeader) error {
		id := string(key)
		seen[id]++
		if w, ok := want[id]; !ok {
			t.Errorf("event %s was never published", id)
		} else if !bytes.Equal(value, w) {
			t.Errorf("event %s differs:\n%s\nwant\n%s", id, value, w)
		}
		if !json.Valid(value) {
			t.Errorf("event %s is not JSON: %q", id, value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("event %s: %d times in the log", id, seen[id])
		}
	}
}

// logConcurrent publishes events from 8 goroutines.
func logConcurrent(t *testing.T, l LogUnderTest) {
	want := map[string][]byte{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for range perSender {
				m := Stored()
				id, value := m.ID.String(), pipeline.AppendEvent(nil, m)
				sent, err := Announce(l.Log, m)
				if err != nil || sent.Err != nil {
					t.Errorf("%s: %v %v", id, err, sent.Err)
					return
				}
				lock.Lock()
				want[id] = value
				lock.Unlock()
			}
		})
	}
	group.Wait()
	if len(want) != senders*perSender {
		t.Errorf("%d ids, want %d", len(want), senders*perSender)
	}
	checkLog(t, l, want)
}

func logStalled(t *testing.T, l LogUnderTest) {
	if l.Stall == nil {
		t.Skip("this log has no backend")
	}
	resume := sync.OnceFunc(l.Stall())
	defer resume() // a failed test must not hang in its cleanup
	all := make([]*Sent, flood)
	for i := range all {
		all[i] = newSent(Stored())
	}
	submitAll(t, all, l.Log.Publish)
	resume()
	if good := awaitAll(t, all); good == 0 || good == flood {
		t.Errorf("%d of %d published; some, not all, were expected", good, flood)
	}
	sent, err := Announce(l.Log, Stored())
	if err != nil || sent.Err != nil {
		t.Errorf("after the stall: %v %v", err, sent.Err)
	}
}

// logClosed closes a log under load. Every message must still have one result.
func logClosed(t *testing.T, l LogUnderTest) {
	if l.Close == nil {
		t.Skip("this log needs no closing")
	}
	all := make([]*Sent, 400)
	for i := range all {
		all[i] = newSent(Stored())
	}
	closed := make(chan error, 1)
	for i, sent := range all {
		if i == len(all)/2 {
			go func() { closed <- l.Close() }()
		}
		l.Log.Publish(sent.M)
	}
	awaitAll(t, all)
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	sent, err := Announce(l.Log, Stored())
	if err != nil {
		t.Fatal(err)
	}
	if sent.Err == nil {
		t.Error("a closed log took an event")
	}
}

// logPanics publishes messages of which no event can be made between others: only these
// succeed, if the log keeps anything, and each has one result.
func logPanics(t *testing.T, l LogUnderTest) {
	all := make([]*Sent, 30)
	for i := range all {
		m := Stored()
		if i%10 == 5 {
			provokePanic(m)
		}
		all[i] = newSent(m)
		l.Log.Publish(m)
	}
	for i, sent := range all {
		fails := i%10 == 5 && l.Read != nil
		if err := sent.wait(); err != nil || (sent.Err != nil) != fails {
			t.Errorf("event %d: %v %v", i, err, sent.Err)
		}
	}
}

// logLimit lowers the limit of a log that is in use. An event may only fail because of
// its own size, and then permanently, whatever else is published at the same time.
func logLimit(t *testing.T, l LogUnderTest) {
	if l.SetLimit == nil {
		t.Skip("this log takes events of any size")
	}
	const limit = 6000
	l.SetLimit(limit)
	want := map[string][]byte{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for i := range senders {
		group.Go(func() {
			for j := range 20 {
				m := Stored()
				for k := range 20 {
					m.Envelope.AddRecipient(fmt.Appendf(nil, "%d.%d.%d@example.net", i, j, k*k*7919))
				}
				id, value := m.ID.String(), pipeline.AppendEvent(nil, m)
				sent, err := Announce(l.Log, m)
				if err != nil || sent.Err != nil {
					t.Errorf("an event of %d bytes: %v %v", len(value), err, sent.Err)
				}
				lock.Lock()
				want[id] = value
				lock.Unlock()
			}
		})
	}
	group.Go(func() {
		for range 3 {
			m := Stored()
			m.Summary.MessageID = randomBytes(3 * limit) // too large even when compressed
			id, value := m.ID.String(), pipeline.AppendEvent(nil, m)
			sent, err := Announce(l.Log, m)
			if err != nil {
				t.Error(err)
			}
			if sent.Err == nil { // a cluster takes some time to know its new limit
				lock.Lock()
				want[id] = value
				lock.Unlock()
			}
		}
	})
	group.Wait()
	checkLog(t, l, want)
	log, ok := l.Log.(pipeline.BoundedLog)
	if !ok {
		return
	}
	for end := time.Now().Add(resultTimeout); log.EventLimit() > limit; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the limit is %d", log.EventLimit())
		}
	}
	if got := log.EventLimit(); got <= 0 {
		t.Errorf("the limit is %d", got)
	}
	m := Stored()
	m.Summary.MessageID = randomBytes(3 * limit)
	sent, err := Announce(l.Log, m)
	if err != nil || pipeline.KindOf(sent.Err) != pipeline.KindEventTooLarge {
		t.Errorf("an event that is too large for the limit that is known: %v %v", err, sent.Err)
	}
}

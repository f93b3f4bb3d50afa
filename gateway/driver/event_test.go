package driver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/pipeline"
)

// boundedLog is a log that knows what it can take.
type boundedLog struct {
	*scriptedLog
	limit int64
}

func (l *boundedLog) EventLimit() int64 { return l.limit }

// removingStore notes what is removed.
type removingStore struct {
	*scriptedStore
	key, container string
	removed        []string
}

func (s *removingStore) Put(m *pipeline.Message) {
	s.key = m.Key()
	m.Stored(pipeline.Blob{Key: s.key, Container: s.container}, pipeline.Digest{}, nil)
}

func (s *removingStore) Remove(key string) { s.removed = append(s.removed, key) }

// bounded is a world whose log takes events of so many bytes.
func bounded(t *testing.T, limit int64) (*world, *boundedLog) {
	w := newWorld(t, testOptions())
	log := &boundedLog{&w.log, limit}
	w.shared.Committer.Log = log
	return w, log
}

func longRecipient(i int) string {
	return fmt.Sprintf("RCPT TO:<%s%d@example.net>\r\n", strings.Repeat("x", 50), i)
}

// TestEventFull: the recipient with whom the event might not fit is told 452 4.5.3,
// and the message for those before goes through.
func TestEventFull(t *testing.T) {
	w, log := bounded(t, 9000)
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
	s.hear()
	taken, full := 0, 0
	for i := range 100 {
		s.send(longRecipient(i))
		switch reply := s.hear(); {
		case strings.HasPrefix(reply, "250 2.1.5 ") && full == 0:
			taken++
		case strings.HasPrefix(reply, "452 4.5.3 "):
			full++
		default:
			t.Fatalf("recipient %d: %q", i, reply)
		}
	}
	if taken < 20 || full < 20 {
		t.Errorf("%d recipients taken, %d refused", taken, full)
	}
	s.send("DATA\r\n")
	s.send("Message-ID: <" + strings.Repeat("i", 900) + "@example.com>\r\n\r\ntext\r\n.\r\n")
	if reply := s.hear(); !strings.Contains(reply, "250 2.0.0 Ok ") {
		t.Errorf("a message of recipients that were taken: %q", reply)
	}
	log.limit = 0 // not known: all are taken
	s.send("MAIL FROM:<a@example.com>\r\n")
	for i := range 100 {
		s.send(longRecipient(i))
	}
	if reply := s.hear(); strings.Contains(reply, "452") {
		t.Errorf("refused without a limit: %q", reply)
	}
}

// TestEventTooLarge: what can never be announced is refused for good and not stored:
// at RCPT when the only recipient is already too much, else at the final dot.
func TestEventTooLarge(t *testing.T) {
	w, log := bounded(t, 1500)
	s := w.connect()
	s.send(ehlo + "MAIL FROM:<" + strings.Repeat("y", 60) + "@" + strings.Repeat("z", 60) + ".example.com>\r\n")
	s.hear()
	s.send(longRecipient(1))
	if reply := s.hear(); !strings.HasPrefix(reply, "552 5.3.4 ") {
		t.Errorf("the only recipient: %q", reply)
	}
	log.limit = 1 << 20
	s.send(longRecipient(1) + "DATA\r\n")
	log.limit = 1500 // it was lowered meanwhile
	s.hear()
	s.send(mailText)
	if reply := s.hear(); !strings.HasPrefix(reply, "552 5.3.4 ") {
		t.Errorf("the final dot: %q", reply)
	}
	if len(w.store.puts) != 0 || len(w.log.events) != 0 {
		t.Errorf("%d objects, %d events", len(w.store.puts), len(w.log.events))
	}
	last := w.seen.refusals[len(w.seen.refusals)-1]
	if last.Cause != "event_too_large" || last.Err == nil || !strings.Contains(last.Err.Error(), "max.message.bytes") ||
		!strings.Contains(last.Err.Error(), "1500") {
		t.Errorf("logged %+v", last)
	}
	if w.seen.replies["event_too_large"] != 2 || w.seen.messages["event_too_large"] != 1 {
		t.Errorf("counted %v, %v", w.seen.replies, w.seen.messages)
	}
	s.send("QUIT\r\n")
	w.clean()
}

// TestBucketCounts: the bucket's name is part of every event.
func TestBucketCounts(t *testing.T) {
	w, _ := bounded(t, 3000)
	w.shared.Committer.Bucket = strings.Repeat(`"`, 1000)
	if got := w.shared.Committer.EventLimit(); got != 1000 {
		t.Errorf("limit %d", got)
	}
	w.shared.Committer.Bucket = strings.Repeat("b", 5000)
	if got := w.shared.Committer.EventLimit(); got != 1 {
		t.Errorf("limit %d", got)
	}
}

// TestEventRefusedByLog: where the limit is not known the log has the last word. Its
// object is removed, unless it is shared with other messages.
func TestEventRefusedByLog(t *testing.T) {
	for container, removes := range map[string]bool{"": true, pipeline.ContainerTar: false} {
		w := newWorld(t, testOptions())
		store := &removingStore{scriptedStore: &w.store, container: container}
		w.shared.Committer.Store = store
		w.log.err = &pipeline.Failure{Kind: pipeline.KindEventTooLarge, Op: "test"}
		s := w.connect()
		s.send(ehlo + envelope)
		s.hear()
		s.send(mailText)
		if reply := s.hear(); !strings.HasPrefix(reply, "552 5.3.4 ") {
			t.Errorf("%q", reply)
		}
		var want []string
		if removes {
			want = []string{store.key}
		}
		if !slices.Equal(store.removed, want) {
			t.Errorf("container %q: removed %q, want %q", container, store.removed, want)
		}
		w.log.err = &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "test"} // it may be in the log yet
		s.send(envelope)
		s.send(mailText)
		if !slices.Equal(store.removed, want) {
			t.Errorf("removed %q after a timeout", store.removed)
		}
		s.send("QUIT\r\n")
		w.clean()
	}
}

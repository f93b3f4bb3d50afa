package porttest

import (
	"bytes"
	"context"
	"io"
	"math"
	"testing"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// storePacks puts messages while the store is stalled. They must share objects that can
// be read without Sluice; those that are too large must not.
func storePacks(t *testing.T, s StoreUnderTest) {
	if !s.Packs {
		t.Skip("this store gives each message its own object")
	}
	resume := s.Stall()
	var all []*Sent
	for i := range 100 {
		m := NewMessage(randomBytes(i * 331))
		if i%25 == 24 {
			m = NewMessage(randomBytes(pack.DefaultMessage + 1)) // above the limit
		}
		all = append(all, newSent(m))
	}
	type expected struct{ key, event string }
	var want []expected
	for _, sent := range all {
		want = append(want, expected{key: sent.M.Key()})
		s.Store.Put(sent.M)
	}
	resume()
	packs := map[string][]string{}
	for i, sent := range all {
		err := sent.waitFor(func(m *pipeline.Message) {
			want[i].event = string(pipeline.AppendEvent(nil, m))
		})
		if err != nil {
			t.Fatal(err)
		}
		checkStored(t, s, sent, want[i].key)
		if large := len(sent.Body) > pack.DefaultMessage; large && sent.Blob.Container != "" {
			t.Errorf("a message of %d bytes shares an object", len(sent.Body))
		}
		if sent.Blob.Container != "" {
			packs[sent.Blob.Key] = append(packs[sent.Blob.Key], want[i].event)
		}
	}
	most := 0
	for key, events := range packs {
		checkPack(t, s, key, events)
		most = max(most, len(events))
	}
	if most < 20 {
		t.Errorf("the largest pack of 100 messages that waited together has %d", most)
	}
}

// checkPack reads a pack as a tar. Its events must be those of its messages, in order,
// and equal to those that are published.
func checkPack(t *testing.T, s StoreUnderTest, key string, events []string) {
	t.Helper()
	r, err := s.Open(context.Background(), key, 0, math.MaxInt64)
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	messages, listed := 0, ""
	err = pack.Each(r, func(name string, size int64, content io.Reader) error {
		var text bytes.Buffer
		n, err := text.ReadFrom(content)
		if err != nil || n != size || listed != "" {
			t.Errorf("%s: entry %s: %d bytes of %d, %v; events read: %v",
				key, name, n, size, err, listed != "")
		}
		if name == pack.EventsName {
			listed = text.String()
		} else {
			messages++
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
	want := ""
	for _, e := range events {
		want += e + "\n"
	}
	if messages != len(events) || listed != want {
		t.Errorf("%s: %d messages and events\n%s\nwant %d and\n%s", key, messages, listed, len(events), want)
	}
}

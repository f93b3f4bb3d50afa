package maillog

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"sluice/gateway/driver"
	"sluice/internal/testkit"
	"sluice/pipeline"
)

// number gives the message of an acceptance an id with a number, and with another in its
// last four bytes.
func number(a *driver.Acceptance, first, last uint32) *driver.Acceptance {
	binary.BigEndian.PutUint32(a.Message.ID[0:], first)
	binary.BigEndian.PutUint32(a.Message.ID[12:], last)
	return a
}

// TestMessageLinesOfManyLoops checks that lines are whole and none is lost or written
// twice, whichever loop has the chunk at the moment.
func TestMessageLinesOfManyLoops(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{Messages: 1, JSON: true}, &s)
	const loops, each = 4, 3000
	var all sync.WaitGroup
	for loop := range loops {
		all.Go(func() {
			a := acceptance("a@example.org", "b@example.net")
			for i := range each {
				m.Accepted(number(a, uint32(loop*each+i), 0))
			}
		})
	}
	all.Wait()
	m.Close()
	seen := map[string]bool{}
	for _, line := range s.Lines() {
		var values struct{ Msg, ID string }
		if err := json.Unmarshal([]byte(line), &values); err != nil || seen[values.ID] {
			t.Fatalf("%v, %q is there twice: %v", err, line, seen[values.ID])
		}
		if values.Msg == "accepted" {
			seen[values.ID] = true
		}
	}
	if dropped := m.Dropped(); int64(len(seen))+dropped != loops*each || len(seen) < 1000 {
		t.Errorf("%d lines and %d dropped of %d", len(seen), dropped, loops*each)
	}
}

// TestMessageLinesNeverWait checks that lines for which there is no room are dropped and
// counted, and that those with room are written when the reader is back.
func TestMessageLinesNeverWait(t *testing.T) {
	s := &stuck{free: make(chan struct{}), entered: make(chan struct{})}
	m := New(Options{Messages: 1}, s)
	m.Logger().Info("first")
	<-s.entered
	a := acceptance("a@example.org", "b@example.net")
	const lines = 10000
	for range lines {
		m.Accepted(a)
	}
	dropped := m.Dropped()
	if made := m.messages.made.Load(); dropped == 0 || dropped > lines*2/3 || made != maxChunks {
		t.Errorf("%d of %d dropped, %d chunks", dropped, lines, made)
	}
	close(s.free)
	m.Close()
	<-m.stopped // Close does not wait for longer than Patience
	if got := strings.Count(s.String(), "msg=accepted"); int64(got) != lines-dropped {
		t.Errorf("%d lines written, %d of %d were dropped", got, dropped, lines)
	}
	if !strings.Contains(s.String(), `msg="log lines dropped"`) {
		t.Error("nothing says that lines were dropped")
	}
}

// TestOneMessageIsWrittenSoon checks that the line of a lone message does not wait for
// others.
func TestOneMessageIsWrittenSoon(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{Messages: 1}, &s)
	defer m.Close()
	for n := range 3 {
		m.Accepted(acceptance("a@example.org", "b@example.net"))
		testkit.Eventually(t, "its line", func() bool { return strings.Count(s.String(), "msg=accepted") == n+1 })
	}
}

// TestMessageShare checks which messages have a line: all, none or a share of them, and
// again the same when the share is the same. Refusals are not sampled.
func TestMessageShare(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var all []*driver.Acceptance
	for n := range 2000 {
		all = append(all, number(acceptance("a@example.org", "b@example.net"), uint32(n), random.Uint32()))
	}
	of := func(share float64) (ids []string, refusals int) {
		var s testkit.Buffer
		m := New(Options{Messages: 1 - share}, &s)
		m.SetMessages(share)
		for i, a := range all {
			m.Accepted(a)
			if i%100 == 0 {
				m.Refused(&someRefusal)
			}
		}
		m.Close()
		for _, line := range s.Lines() {
			if _, rest, found := strings.Cut(line, "msg=accepted id="); found {
				ids = append(ids, rest[:36])
			}
		}
		return ids, strings.Count(s.String(), "msg=refused")
	}
	for share, want := range map[float64][2]int{0: {0, 0}, 1: {2000, 2000}, 0.25: {425, 575}, 1e-12: {0, 0}} {
		ids, refusals := of(share)
		if len(ids) < want[0] || len(ids) > want[1] || refusals != 20 {
			t.Errorf("share %v: %d lines and %d refusals", share, len(ids), refusals)
		}
	}
	some, _ := of(0.25)
	more, _ := of(0.5)
	for _, id := range some {
		if !strings.Contains(strings.Join(more, " "), id) {
			t.Errorf("%s is in a quarter and not in the half", id)
			break
		}
	}
	highest := pipeline.ID{12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}
	var q messageLines
	if q.setShare(1); !q.samples(highest) || !q.samples(pipeline.ID{}) {
		t.Error("not all are all")
	}
	if q.setShare(0); q.samples(pipeline.ID{}) {
		t.Error("none is some")
	}
}

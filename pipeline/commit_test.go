package pipeline_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
)

// script is both ports: it answers as it was told, and notes what it was asked.
type script struct {
	store, log error
	container  string // of what is stored
	asked      []string
	removed    []string
	before     func(step string) // runs before a port answers
}

func (s *script) Put(m *pipeline.Message) {
	s.asked = append(s.asked, "put")
	s.before("put")
	m.Stored(pipeline.Blob{Container: s.container, Length: 1}, pipeline.Digest{1}, s.store)
}

func (s *script) Remove(key string) { s.removed = append(s.removed, key) }

func (s *script) Publish(m *pipeline.Message) {
	s.asked = append(s.asked, "publish")
	s.before("publish")
	m.Published(pipeline.Position{}, s.log)
}

// observed is an Observer that notes.
type observed []string

func (o *observed) StageDone(stage, result string, seconds float64) {
	*o = append(*o, fmt.Sprintf("%s %s %gs", stage, result, seconds))
}

func (o *observed) Orphaned(fate string) { *o = append(*o, "orphan "+fate) }

func (o *observed) LateResult(stage, result string) {
	*o = append(*o, fmt.Sprintf("late %s %s", stage, result))
}

// TestCommit runs a message through every combination of results, with its
// sender leaving at every step. Only both results good, with the sender there,
// are a 250; a message whose sender has left is never published.
func TestCommit(t *testing.T) {
	full := &pipeline.Failure{Kind: pipeline.KindFull, Op: "test"}
	plain := errors.New("plain")
	refused := &pipeline.Failure{Op: "test", NoEffect: true, Kind: pipeline.KindTemporary}
	for _, test := range []struct {
		store, log error
		leaves     string // the step during which the sender leaves
		asked      string
		observed   string
		is250      bool
	}{
		{nil, nil, "", "[put publish]", "[store ok 1s publish ok 1s]", true},
		{nil, plain, "", "[put publish]", "[store ok 1s publish temporary 1s]", false},
		{nil, full, "", "[put publish]", "[store ok 1s publish full 1s]", false},
		{full, nil, "", "[put]", "[store full 1s]", false},
		{plain, nil, "", "[put]", "[store temporary 1s]", false},
		{nil, nil, "put", "[put]", "[late store ok orphan removed]", false},
		{full, nil, "put", "[put]", "[late store full]", false},
		{nil, nil, "publish", "[put publish]", "[store ok 1s late publish ok]", false},
		{nil, full, "publish", "[put publish]", "[store ok 1s late publish full]", false},
		{nil, refused, "", "[put publish]", "[store ok 1s publish temporary 1s orphan removed]", false},
		{nil, refused, "publish", "[put publish]", "[store ok 1s late publish temporary orphan removed]", false},
		{refused, nil, "", "[put]", "[store temporary 1s]", false},
	} {
		t.Run(fmt.Sprint(test.store, test.log, test.leaves), func(t *testing.T) {
			var notes observed
			ports := &script{store: test.store, log: test.log}
			c := pipeline.Committer{Store: ports, Log: ports, Observer: &notes}
			m := &pipeline.Message{Loop: immediate{}}
			now := time.UnixMilli(0)
			returned := 0
			m.OnResult = func() { returned++ }
			m.Reset()
			ports.before = func(step string) {
				if !m.InFlight() {
					t.Errorf("%s: a message in stage %s is not in flight", step, m.Stage)
				}
				if step == test.leaves {
					m.Detach()
				}
			}
			c.Commit(m, now)
			for steps := 1; ; steps++ {
				if returned != steps {
					t.Fatalf("returned %d times after %d steps", returned, steps)
				}
				now = now.Add(time.Second)
				if c.Advance(m, now) {
					break
				}
			}
			if got := fmt.Sprint(ports.asked); got != test.asked {
				t.Errorf("asked %s, want %s", got, test.asked)
			}
			if got := fmt.Sprint(notes); got != test.observed {
				t.Errorf("observed %s, want %s", got, test.observed)
			}
			if removed := strings.Contains(test.observed, "removed"); removed != (len(ports.removed) == 1) {
				t.Errorf("removed %q", ports.removed)
			}
			if is250 := m.Result.Err == nil && !m.Detached(); is250 != test.is250 {
				t.Errorf("250: %t, want %t (%v)", is250, test.is250, m.Result.Err)
			}
			if m.Stage != pipeline.StageDone || m.InFlight() {
				t.Errorf("ends in stage %s", m.Stage)
			}
		})
	}
}

// TestEntriesStay checks that an orphan that shares its object with others is counted and
// never removed.
func TestEntriesStay(t *testing.T) {
	var notes observed
	ports := &script{container: "tar", log: &pipeline.Failure{Op: "test", NoEffect: true}, before: func(string) {}}
	c := pipeline.Committer{Store: ports, Log: ports, Observer: &notes}
	m := &pipeline.Message{Loop: immediate{}}
	m.OnResult = func() {}
	m.Reset()
	now := time.UnixMilli(0)
	for c.Commit(m, now); !c.Advance(m, now); {
	}
	if want := "orphan kept"; !slices.Contains(notes, want) || len(ports.removed) != 0 {
		t.Errorf("observed %q, removed %q", notes, ports.removed)
	}
}

func TestKindOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want pipeline.Kind
		name string
	}{
		{nil, pipeline.KindNone, "ok"},
		{errors.New("x"), pipeline.KindTemporary, "temporary"},
		{pipeline.Overdue(pipeline.StageStoring), pipeline.KindTimeout, "timeout"},
		{&pipeline.Failure{Kind: pipeline.KindFull}, pipeline.KindFull, "full"},
		{&pipeline.Failure{Kind: pipeline.KindMemory}, pipeline.KindMemory, "memory"},
		{&pipeline.Failure{Kind: pipeline.KindTooLarge}, pipeline.KindTooLarge, "too_large"},
		{pipeline.EventTooLarge(2, 1), pipeline.KindEventTooLarge, "event_too_large"},
		{&pipeline.Failure{Kind: pipeline.KindLoop}, pipeline.KindLoop, "loop"},
		{&pipeline.Failure{Kind: pipeline.KindPolicy}, pipeline.KindPolicy, "policy"},
		{fmt.Errorf("wrapped: %w", &pipeline.Failure{Kind: pipeline.KindPermanent}), pipeline.KindPermanent, "permanent"},
	} {
		if got := pipeline.KindOf(test.err); got != test.want || got.String() != test.name {
			t.Errorf("%v: kind %s, want %s", test.err, got, test.name)
		}
	}
	cause := errors.New("cause")
	err := error(&pipeline.Failure{Kind: pipeline.KindFull, Op: "dir: fsync", Err: cause})
	if err.Error() != "dir: fsync: cause" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if got := pipeline.Overdue(pipeline.StagePublishing).Error(); got != "publish: no answer in time" {
		t.Errorf("%q", got)
	}
}

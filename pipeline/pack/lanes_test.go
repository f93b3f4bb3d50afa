package pack_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// testLane stores nothing: it waits in its hand until it is let go, and then does
// what the test says.
type testLane struct {
	taken chan []*pipeline.Message // what it was given, each time
	let   chan error               // how it ends
	apart bool

	mu       sync.Mutex
	answered int
	lonely   []*pipeline.Message
}

func (l *testLane) Alone(m *pipeline.Message, _ time.Time) {
	l.taken <- []*pipeline.Message{m}
	m.Stored(pipeline.Blob{}, pipeline.Digest{}, <-l.let)
}

func (l *testLane) Together(p *pack.Pack, _ time.Time) (bool, error) {
	l.taken <- slices.Clone(p.Messages())
	p.Compose(pipeline.NewID(time.Now(), random{}), pipeline.Blob{})
	return l.apart, <-l.let
}

func (l *testLane) Apart(m *pipeline.Message, _ time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lonely = append(l.lonely, m)
}

func (l *testLane) Answered(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered += n
}

// observed is an Observer that counts.
type observed struct {
	mu                   sync.Mutex
	taken, split, waited []int
	results              []string
}

func (o *observed) note(list *[]int, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	*list = append(*list, n)
}

func (o *observed) PackWaited(float64)       { o.note(&o.waited, 1) }
func (o *observed) PackTaken(n int, _ int64) { o.note(&o.taken, n) }
func (o *observed) PackSplit(n int, err error) {
	if err == nil {
		n = -1 // a split has a reason
	}
	o.note(&o.split, n)
}

func (o *observed) PackDone(result string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.results = append(o.results, result)
}

func startOne(t *testing.T, o pack.Options) (*pack.Lanes, *testLane, *observed) {
	t.Helper()
	l, lanes, seen := start(t, 1, o)
	return l, lanes[0], seen
}

func start(t *testing.T, n int, o pack.Options) (*pack.Lanes, []*testLane, *observed) {
	t.Helper()
	seen := &observed{}
	lanes := make([]*testLane, n)
	for i := range lanes {
		// Nobody reads what was taken at the end: there is room.
		lanes[i] = &testLane{taken: make(chan []*pipeline.Message, 100), let: make(chan error, 100)}
	}
	o.Lanes, o.Observer = n, seen
	l := pack.Start(o, func(n int) pack.Lane { return lanes[n] })
	t.Cleanup(func() {
		for _, lane := range lanes {
			for range 100 {
				select {
				case lane.let <- nil:
				default:
				}
			}
		}
		l.Close()
		if l.Octets() != 0 || l.Busy() != 0 {
			t.Errorf("%d octets wait, %d lanes are busy", l.Octets(), l.Busy())
		}
	})
	return l, lanes, seen
}

func put(t *testing.T, l *pack.Lanes, n, size int) []*pipeline.Message {
	t.Helper()
	var all []*pipeline.Message
	for range n {
		m := message(size)
		if !l.Takes(m) || !l.Put(m) {
			t.Fatal("not taken")
		}
		all = append(all, m)
	}
	return all
}

// TestLaneTakesWhatWaits: a message leaves at once and alone; what comes while the
// lane is busy leaves together, up to the limits.
func TestLaneTakesWhatWaits(t *testing.T) {
	l, lane, seen := startOne(t, pack.Options{Limits: pack.Limits{Messages: 4}})
	put(t, l, 1, 100)
	if got := len(<-lane.taken); got != 1 {
		t.Fatalf("%d at once", got)
	}
	waiting := put(t, l, 6, 100)
	want := int64(0)
	for _, m := range waiting {
		want += m.Length()
	}
	if l.Octets() != want || l.Busy() != 1 {
		t.Errorf("%d octets wait, want %d; %d lanes are busy", l.Octets(), want, l.Busy())
	}
	for _, part := range [][]*pipeline.Message{waiting[:4], waiting[4:]} {
		lane.let <- nil
		if got := <-lane.taken; !slices.Equal(got, part) {
			t.Errorf("%d taken, want %d in their order", len(got), len(part))
		}
	}
	if !slices.Equal(seen.taken, []int{1, 4, 2}) || len(seen.waited) != 7 {
		t.Errorf("taken %v, waited %d", seen.taken, len(seen.waited))
	}
}

// TestLaneOctets: a pack has room for any small message, or takes none.
func TestLaneOctets(t *testing.T) {
	l, lane, _ := startOne(t, pack.Options{Limits: pack.Limits{Octets: 100 << 10, Message: 40 << 10}})
	put(t, l, 1, 1)
	<-lane.taken
	put(t, l, 5, 30<<10)
	lane.let <- nil
	if got := len(<-lane.taken); got != 2 { // of 60 KiB; a third might have 40
		t.Errorf("%d messages of 30 KiB", got)
	}
	if l.Takes(message(41 << 10)) {
		t.Error("a large message shares an object")
	}
	var none *pack.Lanes
	if none.Takes(message(1)) {
		t.Error("taken without lanes")
	}
}

// TestLaneSplits: apart, each goes its own way; else each has the pack's failure.
func TestLaneSplits(t *testing.T) {
	failure := errors.New("refused")
	for _, apart := range []bool{false, true} {
		l, lane, seen := startOne(t, pack.Options{})
		lane.apart = apart
		put(t, l, 1, 1)
		<-lane.taken
		sent := put(t, l, 3, 10)
		lane.let <- nil
		<-lane.taken
		lane.let <- failure
		put(t, l, 1, 1)
		<-lane.taken // so the pack is done
		lane.mu.Lock()
		if apart && (!slices.Equal(lane.lonely, sent) || lane.answered != 0 || !slices.Equal(seen.split, []int{3})) {
			t.Errorf("%d of 3 apart, %d answered, split %v", len(lane.lonely), lane.answered, seen.split)
		}
		if !apart && (len(lane.lonely) != 0 || lane.answered != 3 || !errors.Is(sent[2].Err, failure) || len(seen.split) != 0) {
			t.Errorf("%d apart, %d answered, %v", len(lane.lonely), lane.answered, sent[2].Err)
		}
		lane.mu.Unlock()
		if !slices.Equal(seen.results, []string{"temporary"}) {
			t.Errorf("results %v", seen.results)
		}
	}
}

// TestLaneQueue: one more than may wait is not taken, and does not count.
func TestLaneQueue(t *testing.T) {
	l, lane, _ := startOne(t, pack.Options{Queue: 2})
	put(t, l, 1, 1)
	<-lane.taken
	put(t, l, 2, 1)
	before := l.Octets()
	if l.Put(message(1)) || l.Octets() != before {
		t.Errorf("taken, or counted: %d octets, before %d", l.Octets(), before)
	}
}

// TestLaneTimeout: what waited too long fails, and what came later does not fail
// with it.
func TestLaneTimeout(t *testing.T) {
	const timeout = 400 * time.Millisecond
	l, lane, _ := startOne(t, pack.Options{Timeout: timeout})
	put(t, l, 1, 1)
	<-lane.taken
	old := porttest.NewMessage(nil)
	answers := make(chan error, 1)
	old.Door = doorFunc(func() { answers <- old.Err })
	l.Put(old)
	time.Sleep(timeout + timeout/10) // it is to be too old
	young := put(t, l, 2, 1)
	lane.let <- nil
	if err := <-answers; pipeline.KindOf(err) != pipeline.KindTimeout {
		t.Errorf("too old: %v", err)
	}
	if got := <-lane.taken; !slices.Equal(got, young) {
		t.Errorf("%d taken, want the 2 young ones", len(got))
	}
}

type doorFunc func()

func (f doorFunc) Post(*pipeline.Parcel) { f() }

// TestLaneLingers: with linger a free lane waits for more.
func TestLaneLingers(t *testing.T) {
	l, lane, _ := startOne(t, pack.Options{Limits: pack.Limits{Messages: 3}, Linger: time.Hour})
	want := put(t, l, 3, 1) // full ends the wait
	if got := <-lane.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken", len(got))
	}
}

// takenBy waits for the lane that takes what was put, and gives it with what it took.
func takenBy(lanes []*testLane) (*testLane, []*pipeline.Message) {
	select {
	case taken := <-lanes[0].taken:
		return lanes[0], taken
	case taken := <-lanes[1].taken:
		return lanes[1], taken
	}
}

// besideFour starts two lanes of which one is busy with a pack of four, and the
// other gathers the two messages that it gives.
func besideFour(t *testing.T, o pack.Options) (l *pack.Lanes, four, other *testLane, two []*pipeline.Message) {
	t.Helper()
	l, lanes, _ := start(t, 2, o)
	put(t, l, 1, 1)
	first, _ := takenBy(lanes)
	put(t, l, 1, 1) // as many as are under way
	second, _ := takenBy(lanes)
	if first == second {
		t.Fatal("the lane that is busy took more")
	}
	put(t, l, 4, 1) // no lane is free
	first.let <- nil
	if got := <-first.taken; len(got) != 4 {
		t.Fatalf("%d taken, want all that waits", len(got))
	}
	second.let <- nil
	for l.Busy() > 1 {
		time.Sleep(time.Millisecond)
	}
	return l, first, second, put(t, l, 2, 1)
}

// TestLaneWaitsForMore: beside a pack of four a lane waits for seven messages.
func TestLaneWaitsForMore(t *testing.T) {
	l, _, other, want := besideFour(t, pack.Options{Patience: time.Hour})
	want = append(want, put(t, l, 4, 1)...)
	for l.Octets() > 0 { // until the lane has the six
		time.Sleep(time.Millisecond)
	}
	if len(other.taken) > 0 {
		t.Errorf("%d taken beside four", len(<-other.taken))
	}
	want = append(want, put(t, l, 1, 1)...)
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 7", len(got))
	}
}

// TestLaneWaitsForNobody: what a lane waits beside is done, so it goes.
func TestLaneWaitsForNobody(t *testing.T) {
	_, four, other, want := besideFour(t, pack.Options{Patience: time.Hour})
	four.let <- nil
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 2", len(got))
	}
}

// TestLaneHasPatience: beside a request that stands still others go on.
func TestLaneHasPatience(t *testing.T) {
	_, _, other, want := besideFour(t, pack.Options{})
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 2", len(got))
	}
}

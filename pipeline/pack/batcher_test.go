package pack_test

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// testWriter stores nothing. Each request waits until the test releases it with its
// result.
type testWriter struct {
	taken   chan []*pipeline.Message // the messages of each request
	release chan error               // its result
	split   bool
	largest atomic.Int64 // the size of the largest tar
	panics  bool         // when a pack is released

	mu       sync.Mutex
	done     int
	requeued []*pipeline.Message
}

func (w *testWriter) PutOne(m *pipeline.Message, _ time.Time) bool {
	w.taken <- []*pipeline.Message{m}
	err := <-w.release
	m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)
	return err == nil
}

func (w *testWriter) PutPack(p *pack.Pack, _ time.Time) (bool, error) {
	p.Compose(pipeline.NewID(time.Now(), random{}), pipeline.Blob{})
	w.largest.Store(max(w.largest.Load(), p.Size()))
	w.taken <- slices.Clone(p.Messages())
	err := <-w.release
	if w.panics {
		panic("broken")
	}
	return w.split, err
}

func (w *testWriter) Requeue(m *pipeline.Message, _ time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requeued = append(w.requeued, m)
}

func (w *testWriter) Done(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += n
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

func startOne(t *testing.T, o pack.Options) (*pack.Batcher, *testWriter, *observed) {
	t.Helper()
	b, writers, seen := start(t, 1, o)
	return b, writers[0], seen
}

func start(t *testing.T, n int, o pack.Options) (*pack.Batcher, []*testWriter, *observed) {
	t.Helper()
	seen := &observed{}
	writers := make([]*testWriter, n)
	for i := range writers {
		// At the end nobody reads taken, so there is room.
		writers[i] = &testWriter{taken: make(chan []*pipeline.Message, 100), release: make(chan error, 100)}
	}
	o.Lanes, o.Observer = n, seen
	b := pack.Start(o, func(n int) pack.Writer { return writers[min(n, len(writers)-1)] })
	t.Cleanup(func() {
		for _, w := range writers {
			for range 100 {
				select {
				case w.release <- nil:
				default:
				}
			}
		}
		b.Close()
		if b.WaitingBytes() != 0 || b.Busy() != 0 {
			t.Errorf("%d bytes wait, %d workers are busy", b.WaitingBytes(), b.Busy())
		}
	})
	return b, writers, seen
}

func put(t *testing.T, b *pack.Batcher, n, size int) []*pipeline.Message {
	t.Helper()
	var all []*pipeline.Message
	for range n {
		m := message(size)
		if !b.Accepts(m) || !b.Put(m) {
			t.Fatal("not taken")
		}
		all = append(all, m)
	}
	return all
}

// TestBatcherTakesAllThatWaits checks that a message leaves at once and alone, and that
// those put while the worker is busy leave together, up to the limits.
func TestBatcherTakesAllThatWaits(t *testing.T) {
	b, w, seen := startOne(t, pack.Options{Limits: pack.Limits{Messages: 4}})
	put(t, b, 1, 100)
	if got := len(<-w.taken); got != 1 {
		t.Fatalf("%d at once", got)
	}
	waiting := put(t, b, 6, 100)
	want := int64(0)
	for _, m := range waiting {
		want += m.Length()
	}
	if b.WaitingBytes() != want || b.Busy() != 1 {
		t.Errorf("%d bytes wait, want %d; %d workers are busy", b.WaitingBytes(), want, b.Busy())
	}
	for _, part := range [][]*pipeline.Message{waiting[:4], waiting[4:]} {
		w.release <- nil
		if got := <-w.taken; !slices.Equal(got, part) {
			t.Errorf("%d taken, want %d in their order", len(got), len(part))
		}
	}
	if !slices.Equal(seen.taken, []int{1, 4, 2}) || len(seen.waited) != 7 {
		t.Errorf("taken %v, waited %d", seen.taken, len(seen.waited))
	}
}

// TestBatcherBytes checks that a pack takes no more once a small message might not fit.
func TestBatcherBytes(t *testing.T) {
	b, w, _ := startOne(t, pack.Options{Limits: pack.Limits{Bytes: 100 << 10, Message: 40 << 10}})
	put(t, b, 1, 1)
	<-w.taken
	put(t, b, 5, 30<<10)
	w.release <- nil
	if got := len(<-w.taken); got != 2 { // of 60 KiB; a third might have 40
		t.Errorf("%d messages of 30 KiB", got)
	}
	if b.Accepts(message(41 << 10)) {
		t.Error("a large message shares an object")
	}
	var none *pack.Batcher
	if none.Accepts(message(1)) {
		t.Error("a nil Batcher accepts a message")
	}
}

// manyRecipients returns an empty message with n recipients of full length.
func manyRecipients(n int) *pipeline.Message {
	m := message(0)
	for range n {
		m.Envelope.AddRecipient([]byte(strings.Repeat("r", 64) + "@" + strings.Repeat("d.", 90) + "example"))
	}
	return m
}

// TestBatcherCountsEvents checks that max_bytes bounds the whole object: small messages
// whose events are large do not share one that is many times larger. Nothing of it stays
// once it is stored, and the messages keep their order.
func TestBatcherCountsEvents(t *testing.T) {
	const bound, overhead = 2 << 20, 2 << 10
	b, w, _ := startOne(t, pack.Options{Limits: pack.Limits{Bytes: bound, Message: bound / 8}})
	put(t, b, 1, 1)
	<-w.taken
	var all, got []*pipeline.Message
	for range 30 {
		m := manyRecipients(1000)
		all = append(all, m)
		if !b.Accepts(m) || !b.Put(m) {
			t.Fatal("not taken")
		}
	}
	for len(got) < len(all) {
		w.release <- nil
		got = append(got, <-w.taken...)
	}
	if largest := w.largest.Load(); largest < bound/2 || largest > bound+overhead {
		t.Errorf("an object of %d bytes", largest)
	}
	if !slices.Equal(got, all) {
		t.Error("another order")
	}
}

// TestPackDropsLargeBuffers checks that a pack that was large holds little afterwards.
func TestPackDropsLargeBuffers(t *testing.T) {
	p := pack.New()
	before := heap()
	for range 40 {
		p.Add(manyRecipients(1000))
	}
	p.Compose(pipeline.NewID(time.Now(), random{}), pipeline.Blob{})
	p.Stored()
	if after := heap(); after > before+(4<<20) {
		t.Errorf("%d KiB of heap stay", (after-before)>>10)
	}
	p.Add(message(1)) // it can still be used
	p.Compose(pipeline.NewID(time.Now(), random{}), pipeline.Blob{})
	if p.Size() == 0 {
		t.Error("empty")
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestBatcherSplits checks that the messages of a failed pack are requeued if it is
// split, and fail with it otherwise.
func TestBatcherSplits(t *testing.T) {
	failure := errors.New("refused")
	for _, test := range []struct{ split, panics bool }{{false, false}, {true, false}, {false, true}} {
		split := test.split || test.panics // one message of a pack may provoke the panic
		b, w, seen := startOne(t, pack.Options{})
		w.split, w.panics = test.split, test.panics
		put(t, b, 1, 1)
		<-w.taken
		sent := put(t, b, 3, 10)
		w.release <- nil
		<-w.taken
		w.release <- failure
		put(t, b, 1, 1)
		<-w.taken // so the pack is done
		w.mu.Lock()
		if split && (!slices.Equal(w.requeued, sent) || w.done != 0 || !slices.Equal(seen.split, []int{3})) {
			t.Errorf("%d of 3 requeued, %d done, split %v", len(w.requeued), w.done, seen.split)
		}
		if !split && (len(w.requeued) != 0 || w.done != 3 || !errors.Is(sent[2].Result.Err, failure) || len(seen.split) != 0) {
			t.Errorf("%d requeued, %d done, %v", len(w.requeued), w.done, sent[2].Result.Err)
		}
		w.mu.Unlock()
		if !slices.Equal(seen.results, []string{"temporary"}) {
			t.Errorf("results %v", seen.results)
		}
	}
}

// TestBatcherQueue checks that a full queue takes no message and does not count it.
func TestBatcherQueue(t *testing.T) {
	b, w, _ := startOne(t, pack.Options{Queue: 2})
	put(t, b, 1, 1)
	<-w.taken
	put(t, b, 2, 1)
	before := b.WaitingBytes()
	if b.Put(message(1)) || b.WaitingBytes() != before {
		t.Errorf("taken, or counted: %d bytes, before %d", b.WaitingBytes(), before)
	}
}

// TestBatcherTimeout checks that a message that waited too long fails, and that later
// ones do not fail with it.
func TestBatcherTimeout(t *testing.T) {
	const timeout = 400 * time.Millisecond
	b, w, _ := startOne(t, pack.Options{Timeout: timeout})
	put(t, b, 1, 1)
	<-w.taken
	old := porttest.NewMessage(nil)
	answers := make(chan error, 1)
	old.Loop = posterFunc(func() { answers <- old.Result.Err })
	b.Put(old)
	time.Sleep(timeout + timeout/10) // it is to be too old
	young := put(t, b, 2, 1)
	w.release <- nil
	if err := <-answers; pipeline.KindOf(err) != pipeline.KindTimeout {
		t.Errorf("too old: %v", err)
	}
	if got := <-w.taken; !slices.Equal(got, young) {
		t.Errorf("%d taken, want the 2 young ones", len(got))
	}
}

type posterFunc func()

func (f posterFunc) Post(*pipeline.Task) { f() }

// TestBatcherLingers checks that an idle worker waits for more messages with Linger.
func TestBatcherLingers(t *testing.T) {
	b, w, _ := startOne(t, pack.Options{Limits: pack.Limits{Messages: 3}, Linger: time.Hour})
	want := put(t, b, 3, 1) // full ends the wait
	if got := <-w.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken", len(got))
	}
}

// takenBy returns the writer that gets the next request, and its messages.
func takenBy(writers []*testWriter) (*testWriter, []*pipeline.Message) {
	select {
	case taken := <-writers[0].taken:
		return writers[0], taken
	case taken := <-writers[1].taken:
		return writers[1], taken
	}
}

// alongsideFour starts two workers. One is busy with a pack of four, the other fills a pack
// with two messages.
func alongsideFour(t *testing.T, o pack.Options) (b *pack.Batcher, four, other *testWriter, two []*pipeline.Message) {
	t.Helper()
	b, writers, _ := start(t, 2, o)
	put(t, b, 1, 1)
	first, _ := takenBy(writers)
	put(t, b, 1, 1) // as many as are in flight
	second, _ := takenBy(writers)
	if first == second {
		t.Fatal("the busy worker took more")
	}
	put(t, b, 4, 1) // no worker is idle
	first.release <- nil
	if got := <-first.taken; len(got) != 4 {
		t.Fatalf("%d taken, want all that waits", len(got))
	}
	second.release <- nil
	for b.Busy() > 1 {
		time.Sleep(time.Millisecond)
	}
	return b, first, second, put(t, b, 2, 1)
}

// TestBatcherWaitsForMore checks that a pack alongside one of four waits for seven
// messages.
func TestBatcherWaitsForMore(t *testing.T) {
	b, _, other, want := alongsideFour(t, pack.Options{MaxWait: time.Hour})
	want = append(want, put(t, b, 4, 1)...)
	for b.WaitingBytes() > 0 { // until the worker has the six
		time.Sleep(time.Millisecond)
	}
	if len(other.taken) > 0 {
		t.Errorf("%d taken alongside four", len(<-other.taken))
	}
	want = append(want, put(t, b, 1, 1)...)
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 7", len(got))
	}
}

// TestBatcherStopsWaiting checks that the end of the other request ends the wait.
func TestBatcherStopsWaiting(t *testing.T) {
	_, four, other, want := alongsideFour(t, pack.Options{MaxWait: time.Hour})
	four.release <- nil
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 2", len(got))
	}
}

// TestBatcherWaitIsBounded checks that a stalled request does not hold up others.
func TestBatcherWaitIsBounded(t *testing.T) {
	_, _, other, want := alongsideFour(t, pack.Options{})
	if got := <-other.taken; !slices.Equal(got, want) {
		t.Errorf("%d taken, want 2", len(got))
	}
}

// TestBatcherLearnsNothingFromFailures checks that the duration of a lone message that
// fails at once does not become the usual one, and so the wait for a fuller pack.
func TestBatcherLearnsNothingFromFailures(t *testing.T) {
	b, w, _ := startOne(t, pack.Options{})
	for _, result := range []error{nil, errors.New("refused"), nil} {
		put(t, b, 1, 1)
		<-w.taken
		if result == nil {
			time.Sleep(5 * time.Millisecond)
		}
		w.release <- result
	}
	put(t, b, 1, 1)
	<-w.taken // so the one before is done
	if usual := pack.UsualLatency(b); usual < 5*time.Millisecond {
		t.Errorf("the usual duration is %v, of requests that took 5 ms", usual)
	}
}

// TestOpenLane checks that another lane stores messages while all others stand still,
// that there are only as many as spare requests, and that it ends when it is closed.
func TestOpenLane(t *testing.T) {
	b, w, _ := startOne(t, pack.Options{})
	put(t, b, 1, 1)
	<-w.taken
	closeLane := b.OpenLane()
	if closeLane == nil || b.OpenLane() != nil {
		t.Fatal("one lane has one spare request")
	}
	sent := put(t, b, 1, 1)
	if got := <-w.taken; !slices.Equal(got, sent) {
		t.Errorf("the lane took %d messages", len(got))
	}
	w.release <- nil
	w.release <- nil
	closeLane()
	testkit.Eventually(t, "the lane has ended", b.TakeSpare)
	b.ReturnSpare()
	put(t, b, 1, 1)
	<-w.taken // by the lane that stays
}

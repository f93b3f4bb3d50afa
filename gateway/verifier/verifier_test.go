package verifier

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// fake is a Check that does what its functions say, and keeps what it reads.
type fake struct {
	sender, keys func(context.Context)
	header       func()
	judge        func(context.Context)
	asked        func(context.Context) // what is looked up only then, if anything
	read         bytes.Buffer
	judged       int
}

func (f *fake) FindSender(ctx context.Context) { f.sender(ctx) }
func (f *fake) FindKeys(ctx context.Context)   { f.keys(ctx) }
func (f *fake) ReadText(chunk []byte)          { f.read.Write(chunk) }

func (f *fake) ReadHeader(chunks [][]byte, _ bool) []int {
	f.header()
	f.read.Write(bytes.Join(chunks, nil))
	return []int{len(chunks)}
}

func (f *fake) Judge(ctx context.Context, ask func(func())) pipeline.Verdict {
	f.judged++
	if f.asked != nil {
		ask(func() { f.asked(ctx) })
	}
	f.judge(ctx)
	return pipeline.Verdict{Name: "judged", Verdicts: &pipeline.Verdicts{}}
}

func newFake() *fake {
	nothing := func(context.Context) {}
	return &fake{sender: nothing, keys: nothing, header: func() {}, judge: nothing}
}

// fakes hands out checks in turn.
type fakes struct {
	mu  sync.Mutex
	all []*fake
}

func (f *fakes) Begin(*pipeline.Message) Check {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.all[0]
	f.all = f.all[1:]
	return first
}

func (f *fakes) Overdue() pipeline.Verdict {
	return pipeline.Verdict{Name: "overdue", Verdicts: &pipeline.Verdicts{}}
}

// seen counts verdicts.
type seen struct{ all, overdue, forged atomic.Int64 }

func (s *seen) Forged(fields int) { s.forged.Add(int64(fields)) }

func (s *seen) Verified(_ *pipeline.Verdicts, overdue bool) {
	s.all.Add(1)
	if overdue {
		s.overdue.Add(1)
	}
}

// newVerifier returns a verifier with checks. It is closed at the end of the test, which
// must leave nothing at work.
func newVerifier(t testing.TB, checks ...*fake) (*Verifier, *seen) {
	of, observer := &fakes{all: checks}, &seen{}
	v := New(Options{
		Checks: func() Checks { return of }, Deadline: func() time.Duration { return 10 * time.Second }, Observer: observer,
	})
	t.Cleanup(func() {
		v.Close()
		if v.Working() != 0 {
			t.Errorf("%d are at work", v.Working())
		}
	})
	return v, observer
}

// loop is the loop of a message: what is posted to it arrives in home.
type loop struct{ home chan *pipeline.Piece }

func (l *loop) Post(task *pipeline.Task) { task.Run() }

// mail is a message at its verifier.
type mail struct {
	*pipeline.Message
	v    *Verifier
	loop *loop
}

func (v *Verifier) begin() *mail {
	l := &loop{make(chan *pipeline.Piece, 64)}
	m := &mail{&pipeline.Message{Loop: l}, v, l}
	m.Client.Address = netip.MustParseAddrPort("192.0.2.1:25")
	m.Verify(v.Begin(m.Message), func(_ *pipeline.Message, p *pipeline.Piece) { l.home <- p })
	return m
}

func (m *mail) say(kind pipeline.PieceKind, chunks ...[]byte) *pipeline.Piece {
	var p *pipeline.Piece
	switch kind {
	case pipeline.PieceHeader:
		p = m.TakeHeader(false)
	case pipeline.PieceText:
		p = m.TakePart(&pipeline.Part{}, func(_ *pipeline.Message, p *pipeline.Piece) { m.loop.home <- p })
	default:
		p = m.TakeEnd()
	}
	p.Chunks = chunks
	m.v.Read(p)
	return p
}

// TestPieces has many messages read at once: each piece comes home once, after it was read,
// and in its order.
func TestPieces(t *testing.T) {
	const messages = 50
	var checks []*fake
	for range messages {
		checks = append(checks, newFake())
	}
	v, seen := newVerifier(t, slices.Clone(checks)...)
	var all sync.WaitGroup
	for range messages {
		m, random := v.begin(), rand.New(rand.NewPCG(1, 2))
		check := m.Verification.State.(*work).check.(*fake)
		all.Go(func() {
			sent := []*pipeline.Piece{m.say(pipeline.PieceHeader, []byte("a"), []byte("b"))}
			want := "ab"
			for i := range random.IntN(20) {
				text := fmt.Sprint(i, ",")
				sent = append(sent, m.say(pipeline.PieceText, []byte(text)))
				want += text
				if random.IntN(4) == 0 {
					time.Sleep(time.Microsecond)
				}
			}
			sent = append(sent, m.say(pipeline.PieceEnd))
			for i, p := range sent {
				if got := <-m.loop.home; got != p || got.Err != nil {
					t.Errorf("piece %d comes as another: %v", i, got.Err)
				}
			}
			if got := check.read.String(); got != want || check.judged != 1 || sent[len(sent)-1].Verdict.Name != "judged" {
				t.Errorf("read %q, want %q, judged %d times", got, want, check.judged)
			}
			if !slices.Equal(sent[0].Forged, []int{2}) {
				t.Errorf("forged %v", sent[0].Forged)
			}
		})
	}
	all.Wait()
	if seen.all.Load() != messages || seen.overdue.Load() != 0 || seen.forged.Load() != messages {
		t.Errorf("%d verdicts were seen, %d overdue, %d forged", seen.all.Load(), seen.overdue.Load(), seen.forged.Load())
	}
}

// silent waits until nobody does any more.
func silent(ctx context.Context) { <-ctx.Done() }

// TestDeadline has the DNS stay silent: the verdict comes in its time all the same, and what
// was found by then is known to it.
func TestDeadline(t *testing.T) {
	for _, test := range []struct {
		name           string
		sender, keys   func(context.Context)
		between, after time.Duration // MAIL and the dot, and the dot and the verdict
		overdue        int64
	}{
		{"nobody is silent", func(context.Context) {}, func(context.Context) {}, 0, 0, 0},
		{"the sender's", silent, func(context.Context) {}, 4 * time.Second, 6 * time.Second, 1},
		{"the keys'", func(context.Context) {}, silent, 30 * time.Second, 10 * time.Second, 1},
		{"slow, but in time", func(context.Context) { time.Sleep(5 * time.Second) }, func(context.Context) { time.Sleep(7 * time.Second) }, time.Second, 7 * time.Second, 0},
		{"one that does not end in time", func(context.Context) { time.Sleep(15 * time.Second) }, silent, time.Second, 14 * time.Second, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check := newFake()
				check.sender, check.keys = test.sender, test.keys
				v, seen := newVerifier(t, check)
				m := v.begin()
				time.Sleep(test.between)
				dot := time.Now()
				m.say(pipeline.PieceHeader)
				if p := <-m.loop.home; p.Err != nil || time.Since(dot) != 0 {
					t.Errorf("the header took %s (%v)", time.Since(dot), p.Err)
				}
				p := m.say(pipeline.PieceEnd)
				if <-m.loop.home; time.Since(dot) != test.after || p.Verdict.Name != "judged" || p.Err != nil {
					t.Errorf("verdict %+v after %s (%v)", p.Verdict, time.Since(dot), p.Err)
				}
				synctest.Wait()
				if got := seen.overdue.Load(); got != test.overdue {
					t.Errorf("%d overdue, want %d", got, test.overdue)
				}
			})
		})
	}
}

// TestOneClientTakesNoTurn has one client look up, at a thousand MAILs, what nobody answers.
// Few of its look-ups run, and others have their turn.
func TestOneClientTakesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const greedy, others = 1000, 100
		var running, most, turns atomic.Int64
		var checks []*fake
		for range greedy {
			check := newFake()
			check.sender = func(ctx context.Context) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				<-ctx.Done()
			}
			checks = append(checks, check)
		}
		for range others {
			check := newFake()
			check.sender = func(context.Context) { turns.Add(1) }
			checks = append(checks, check)
		}
		v, _ := newVerifier(t, checks...)
		for range greedy {
			v.begin()
		}
		synctest.Wait()
		for i := range others {
			v.Begin(&pipeline.Message{Client: pipeline.Client{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 25)}})
		}
		synctest.Wait()
		if most.Load() > 2*laneWidth || turns.Load() < others*9/10 {
			t.Errorf("%d look-ups of one client run, %d of %d others had their turn", most.Load(), turns.Load(), others)
		}
	})
}

// TestJudgesWaitAside has many messages ask, while they are judged, what nobody answers. They
// hold no processor meanwhile, not all turns, and are overdue.
func TestJudgesWaitAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting = 100
		var running, most atomic.Int64
		var checks []*fake
		for range waiting {
			check := newFake()
			check.asked = func(ctx context.Context) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				<-ctx.Done()
			}
			checks = append(checks, check)
		}
		v, seen := newVerifier(t, append(checks, newFake())...)
		var all []*mail
		for range waiting {
			m := v.begin()
			m.say(pipeline.PieceHeader)
			m.say(pipeline.PieceEnd)
			<-m.loop.home
			all = append(all, m)
		}
		synctest.Wait()
		began := time.Now()
		other := v.begin()
		other.say(pipeline.PieceHeader)
		if <-other.loop.home; time.Since(began) != 0 || most.Load() > 2*laneWidth {
			t.Errorf("another header is read after %s, %d look-ups ran at a time", time.Since(began), most.Load())
		}
		v.Drop(other.Verification.State)
		for _, m := range all {
			<-m.loop.home
		}
		if took := time.Since(began); took != 10*time.Second || seen.overdue.Load() != waiting {
			t.Errorf("the verdicts took %s, %d are overdue", took, seen.overdue.Load())
		}
	})
}

// TestDrop ends a verification at each of its steps: what is in flight comes home, and
// nothing is looked up any more.
func TestDrop(t *testing.T) {
	for _, kinds := range [][]pipeline.PieceKind{
		{}, {pipeline.PieceHeader}, {pipeline.PieceHeader, pipeline.PieceText}, {pipeline.PieceHeader, pipeline.PieceText, pipeline.PieceEnd},
	} {
		synctest.Test(t, func(t *testing.T) {
			check := newFake()
			check.sender, check.keys = silent, silent
			v, _ := newVerifier(t, check)
			m := v.begin()
			for _, kind := range kinds {
				m.say(kind)
			}
			began := time.Now()
			v.Drop(m.Verification.State)
			synctest.Wait()
			if v.Working() != 0 || len(m.loop.home) != len(kinds) || time.Since(began) != 0 {
				t.Errorf("%v: %d are at work, %d are home", kinds, v.Working(), len(m.loop.home))
			}
		})
	}
}

// TestPanics has each step of a check panic: the message is not lost, and the next one is
// verified.
func TestPanics(t *testing.T) {
	var counted atomic.Int64
	panics.Notify(func(at panics.Place, _ any, _ []byte) {
		if at == panics.Verify {
			counted.Add(1)
		}
	})
	panicking := func(context.Context) { panic("a defect") }
	for name, set := range map[string]func(*fake){
		"sender": func(f *fake) { f.sender = panicking },
		"keys":   func(f *fake) { f.keys = panicking },
		"header": func(f *fake) { f.header = func() { panic("a defect") } },
		"judge":  func(f *fake) { f.judge = panicking },
	} {
		counted.Store(0)
		check, next := newFake(), newFake()
		set(check)
		v, _ := newVerifier(t, check, next)
		for i, want := range []string{map[bool]string{true: "overdue", false: "judged"}[name == "judge"], "judged"} {
			m := v.begin()
			header, end := m.say(pipeline.PieceHeader), m.say(pipeline.PieceEnd)
			<-m.loop.home
			<-m.loop.home
			if end.Verdict.Name != want || (header.Err != nil) != (name == "header" && i == 0) {
				t.Errorf("%s: message %d: %q, %v", name, i, end.Verdict.Name, header.Err)
			}
		}
		if counted.Load() != 1 {
			t.Errorf("%s: %d panics are counted", name, counted.Load())
		}
	}
	panics.Notify(func(panics.Place, any, []byte) {})
}

// TestOverdue checks that a verdict that the loop asks for is counted too.
func TestOverdue(t *testing.T) {
	v, seen := newVerifier(t)
	if got := v.Overdue(); got.Name != "overdue" || seen.overdue.Load() != 1 {
		t.Errorf("%+v, %d seen", got, seen.overdue.Load())
	}
}

// TestQueue has one put and another take: all come in order, and whenever the taker has
// ended, the next put says so.
func TestQueue(t *testing.T) {
	const all = 100_000
	var q queue
	pieces := make([]pipeline.Piece, all)
	readers, next, done := make(chan struct{}, all), 0, make(chan struct{})
	go func() {
		defer close(done)
		for next < all {
			<-readers
			for p := q.take(); p != nil; p = q.take() {
				if p != &pieces[next] {
					t.Errorf("another than %d", next)
					return
				}
				next++
			}
		}
	}()
	for i := range pieces {
		if q.put(&pieces[i]) {
			readers <- struct{}{}
		}
	}
	<-done
}

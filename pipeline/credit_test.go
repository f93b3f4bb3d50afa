package pipeline_test

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/pipeline"
)

// waiter is a request in the credit property, with its answers.
type waiter struct {
	request pipeline.CreditRequest
	number  int
	answers int
	refused bool // by Tick
}

// creditWorld drives a budget and its queue as one event loop does, and checks
// after each step what must always hold.
type creditWorld struct {
	budget   *pipeline.Budget
	left     int64 // what messages that grow leave to those that begin
	queue    *pipeline.CreditQueue
	notified bool
	asked    []*waiter // waiting, in the order in which they asked
	holding  []int64
	booked   []int64 // for each that holds
	number   int
	now      time.Time // of the last tick
	grew     time.Time // of the last tick before one that waited to grow was served
	large    time.Time // of the last tick before a large message began, if one waited
}

const patience = 3

func newCreditWorld(limit, left int64) *creditWorld {
	w := &creditWorld{budget: pipeline.NewBudget(limit), left: left, now: began}
	w.budget.LeaveRoom(left)
	w.queue = pipeline.NewCreditQueue(w.budget, patience, func() { w.notified = true })
	return w
}

// immediate runs tasks at once, on the one thread of the test.
type immediate struct{}

func (immediate) Post(t *pipeline.Task) { t.Run() }

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (w *creditWorld) ask(t *rapid.T, want pipeline.Want, growing bool) {
	var claimed bool
	if growing {
		claimed = w.budget.ClaimMore(want)
	} else {
		claimed = w.budget.Claim(want)
	}
	if claimed {
		for _, a := range w.asked {
			if !growing || a.kind() == "growing" {
				t.Fatalf("a claim passed waiter %d", a.number)
			}
		}
		w.hold(want.Bytes, want.Expected)
		return
	}
	w.number++
	a := &waiter{number: w.number}
	a.request = pipeline.CreditRequest{
		Queue: w.queue, Want: want, Growing: growing, Loop: immediate{},
		OnResult: func() { w.returned(t, a) }, OnRequest: func() { w.queue.Enqueue(&a.request) },
		Since: began.Add(time.Duration(w.number)),
		Hold:  time.Duration(rapid.IntRange(0, 100).Draw(t, "hold")),
		Held:  rapid.Int64Range(1, w.budget.Limit()).Draw(t, "held"),
	}
	w.asked = append(w.asked, a)
	a.request.Begin(immediate{})
}

func (w *creditWorld) hold(n, expected int64) {
	w.holding, w.booked = append(w.holding, n), append(w.booked, expected)
}

func (w *creditWorld) returned(t *rapid.T, a *waiter) {
	if a.answers++; a.answers > 1 {
		t.Fatalf("waiter %d: %d answers", a.number, a.answers)
	}
	if a.request.Growing && a.request.Granted {
		w.grew = w.now
	}
	w.asked = slices.DeleteFunc(w.asked, func(x *waiter) bool { return x == a })
	credit := a.request.End()
	switch {
	case a.request.InFlight():
		t.Fatalf("waiter %d returned and is in flight", a.number)
	case credit == 0 && !a.request.Dropped() && !a.refused:
		t.Fatalf("waiter %d returned without credit", a.number)
	case credit != 0 && (credit != a.request.Bytes || a.refused):
		t.Fatalf("waiter %d wanted %d, got %d (refused: %v)", a.number, a.request.Bytes, credit, a.refused)
	case credit == 0:
		return
	}
	w.hold(credit, a.request.Expected)
	if others := w.first("growing") != nil || w.first("outgrown") != nil; a.request.Growing && w.sum(w.holding) > w.budget.Limit()-w.left && (others || !w.waited(a, patience)) {
		t.Fatalf("waiter %d left no room for those that begin", a.number)
	}
	if a.kind() == "large" {
		room := w.sum(w.holding)+w.sum(w.booked) <= w.budget.Limit()
		if !room && (w.large.After(w.now.Add(-patience)) || !w.waited(a, patience) || w.first("growing") != nil || w.first("outgrown") != nil) {
			t.Fatalf("waiter %d began without room at %v, another large one at %v", a.number, w.now, w.large)
		}
		w.large = w.now
	}
	small := a.kind() == "small"
	if first := w.first("growing"); first != nil && (small && w.waited(first, 3*patience) || !small && w.waited(first, patience) && (a.kind() != "growing" || first.number < a.number)) {
		t.Fatalf("waiter %d passed waiter %d, which has waited long", a.number, first.number)
	}
	if first := w.first("outgrown"); first != nil && w.waited(first, patience) && a.kind() != "growing" && !small && (a.kind() != "outgrown" || first.number < a.number) {
		t.Fatalf("waiter %d passed waiter %d, which has waited long", a.number, first.number)
	}
	if first := w.first(a.kind()); first != nil && first.number < a.number && !a.request.Growing {
		t.Fatalf("waiter %d passed waiter %d, which asked for as little", a.number, first.number)
	}
}

func (a *waiter) kind() string {
	switch {
	case a.request.Growing && (a.request.Expected > 0 || a.request.Unknown):
		return "outgrown"
	case a.request.Growing:
		return "growing"
	case a.request.Expected > 0 || a.request.Unknown:
		return "large"
	}
	return "small"
}

// first returns the first of a kind that waits.
func (w *creditWorld) first(kind string) *waiter {
	for _, a := range w.asked {
		if a.kind() == kind && !a.request.Dropped() {
			return a
		}
	}
	return nil
}

func (w *creditWorld) waited(a *waiter, d time.Duration) bool {
	return !a.request.Since.After(w.now.Add(-d))
}

func (w *creditWorld) sum(all []int64) (sum int64) {
	for _, n := range all {
		sum += n
	}
	return sum
}

// serve does what the owner does after a notice.
func (w *creditWorld) serve() {
	for w.notified {
		w.notified = false
		w.queue.Serve()
	}
}

func (w *creditWorld) giveOne(i int) {
	credit, booked := w.holding[i], w.booked[i]
	w.holding, w.booked = slices.Delete(w.holding, i, i+1), slices.Delete(w.booked, i, i+1)
	w.budget.Book(-booked)
	w.budget.Give(credit)
}

// tick begins a tick. It refuses, of those that grow but the first, as many as the first
// needs of those that hold most for their progress.
func (w *creditWorld) tick(t *rapid.T, passes int) {
	w.now = w.now.Add(time.Duration(passes))
	w.queue.Tick(w.now)
	for _, a := range w.asked {
		if a.request.Dropped() {
			t.Fatalf("waiter %d is still there", a.number)
		}
	}
	slowest, stuck := w.slowest()
	for _, a := range slowest {
		a.refused = true
	}
	if did := w.queue.EvictSlowest(); did != len(slowest) {
		t.Fatalf("evicted: %d, want %d", did, len(slowest))
	}
	for _, a := range slowest {
		if a.answers != 1 {
			t.Fatalf("waiter %d was not evicted", a.number)
		}
	}
	if stuck && len(slowest) > 0 {
		w.grew = w.now
	}
}

// slowest returns those that are to be refused now, and whether nobody got on.
func (w *creditWorld) slowest() (all []*waiter, stuck bool) {
	head := w.first("growing")
	if head == nil {
		head = w.first("outgrown")
	}
	if head == nil {
		return nil, false
	}
	stuck = w.waited(head, patience) && !w.grew.After(w.now.Add(-patience))
	crowd := w.first("small") != nil || w.waited(head, patience/3)
	var others []*waiter
	held := int64(0)
	for _, kind := range []string{"growing", "outgrown"} {
		for _, a := range w.asked {
			if a.kind() == kind {
				held += a.request.Held
			}
			if a.kind() == kind && a != head {
				others = append(others, a)
			}
		}
	}
	slices.Reverse(others)
	slices.SortStableFunc(others, func(a, b *waiter) int { return cmp.Compare(b.request.Hold, a.request.Hold) })
	wanted := w.sum(w.holding) + head.request.Bytes - w.budget.Limit()
	if head.kind() == "outgrown" {
		wanted += w.sum(w.booked) + head.request.Expected
	}
	for _, a := range others {
		if stuck && len(all) > 0 && wanted <= 0 || !stuck && (!crowd || held <= w.budget.Limit()/4*3) {
			break
		}
		all = append(all, a)
		wanted, held = wanted-a.request.Held, held-a.request.Held
	}
	return all, stuck
}

func (w *creditWorld) check(t *rapid.T) {
	used := w.sum(w.holding)
	if got := w.budget.Used(); got != used || got > w.budget.Limit() || got < 0 {
		t.Fatalf("used %d of %d, held %d", got, w.budget.Limit(), used)
	}
	if got, want := w.budget.Booked(), w.sum(w.booked); got != want {
		t.Fatalf("booked %d, want %d", got, want)
	}
	if got := int(w.budget.Waiters()); got != len(w.asked) || w.queue.Waiting() != got {
		t.Fatalf("%d waiters, %d in the queue, want %d", got, w.queue.Waiting(), len(w.asked))
	}
	if len(w.asked) == 0 || w.notified {
		return
	}
	head := w.asked[0]
	if i := slices.IndexFunc(w.asked, func(a *waiter) bool { return a.kind() == "growing" }); i >= 0 {
		head = w.asked[i]
	}
	large := slices.ContainsFunc(w.asked, func(a *waiter) bool { return a.request.Expected > 0 || a.request.Unknown })
	free := w.budget.Limit() - used
	if head.kind() == "growing" {
		free -= w.left
	}
	if !head.request.Dropped() && (head.kind() == "growing" || !large) && head.request.Bytes <= free {
		t.Fatalf("waiter %d waits for %d, %d are free", head.number, head.request.Bytes, free)
	}
}

// TestCredit: whatever happens in whatever order, the budget is kept, credit is
// given in turn, everybody is answered once, and nothing is left at the end.
func TestCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 100).Draw(t, "limit")
		w := newCreditWorld(limit, rapid.Int64Range(0, limit/2).Draw(t, "left"))
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				want := pipeline.Want{Bytes: rapid.Int64Range(1, limit).Draw(t, "wanted")}
				kind := rapid.SampledFrom([]string{"growing", "outgrown", "small", "large"}).Draw(t, "kind")
				if kind == "large" || kind == "outgrown" {
					want.Expected = rapid.Int64Range(0, limit).Draw(t, "expected")
					want.Unknown = want.Expected == 0
				}
				w.ask(t, want, kind == "growing" || kind == "outgrown")
			},
			"give": func(t *rapid.T) {
				if n := len(w.holding); n > 0 {
					w.giveOne(rapid.IntRange(0, n-1).Draw(t, "which"))
				}
			},
			"drop": func(t *rapid.T) {
				if n := len(w.asked); n > 0 {
					w.asked[rapid.IntRange(0, n-1).Draw(t, "which")].request.Drop()
				}
			},
			"serve": func(*rapid.T) { w.serve() },
			"tick":  func(t *rapid.T) { w.tick(t, rapid.IntRange(0, 2*patience).Draw(t, "passes")) },
			"":      w.check,
		})
		w.tick(t, patience) // dropped requests return even when no credit comes back any more
		for len(w.holding) > 0 || len(w.asked) > 0 {
			if len(w.holding) > 0 {
				w.giveOne(0)
			}
			w.serve()
			w.tick(t, patience) // a large message may begin without room
		}
		w.check(t)
		if w.budget.Used() != 0 || w.budget.Booked() != 0 || w.budget.Waiters() != 0 || len(w.asked) != 0 {
			t.Fatalf("left: %d used, %d waiters", w.budget.Used(), w.budget.Waiters())
		}
	})
}

// TestCreditManyLoops has many loops compete while one owns the queue, as the
// program does: the limit holds at every moment and nobody is forgotten.
func TestCreditManyLoops(t *testing.T) {
	const loops, rounds, limit = 4, 2000, 10
	budget := pipeline.NewBudget(limit)
	var inbox pipeline.Inbox
	wake := make(chan struct{}, 1)
	post := func(t *pipeline.Task) {
		inbox.Push(t)
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	var serve atomic.Bool
	queue := pipeline.NewCreditQueue(budget, time.Second, func() {
		serve.Store(true)
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	done := make(chan struct{})
	var owner, group sync.WaitGroup
	owner.Go(func() {
		for {
			select {
			case <-wake:
				inbox.RunAll()
				if serve.Swap(false) {
					queue.Serve()
				}
			case <-done:
				return
			}
		}
	})
	for loop := range loops {
		group.Go(func() {
			returned := make(chan struct{}, 1)
			a := &pipeline.CreditRequest{Queue: queue, Loop: posterFunc(func(*pipeline.Task) { returned <- struct{}{} })}
			a.OnRequest = func() { queue.Enqueue(a) }
			for i := range rounds {
				a.Bytes, a.Growing = int64(1+(i+loop)%limit), i%3 == 0
				credit := a.Bytes
				if !budget.Claim(pipeline.Want{Bytes: credit}) {
					a.Begin(posterFunc(post))
					<-returned
					credit = a.End()
				}
				if used := budget.Used(); used > limit || credit != a.Bytes {
					t.Errorf("used %d of %d, credit %d of %d", used, limit, credit, a.Bytes)
				}
				budget.Give(credit)
			}
		})
	}
	group.Wait()
	close(done)
	owner.Wait()
	if budget.Used() != 0 || budget.Waiters() != 0 {
		t.Errorf("left: %d used, %d waiters", budget.Used(), budget.Waiters())
	}
}

type posterFunc func(t *pipeline.Task)

func (f posterFunc) Post(t *pipeline.Task) { f(t) }

package pipeline_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"sluice/pipeline"
)

// waiter is a message in the credit property, with its answers.
type waiter struct {
	m       *pipeline.Message
	number  int
	answers int
}

// creditWorld drives a budget and its queue as one event loop does, and checks
// after each step what must always hold.
type creditWorld struct {
	budget  *pipeline.Budget
	queue   *pipeline.CreditQueue
	nudged  bool
	asked   []*waiter // waiting, in the order in which they asked
	holding []*waiter
	fast    []int64 // taken by Claim
	number  int
}

func newCreditWorld(limit int64) *creditWorld {
	w := &creditWorld{budget: pipeline.NewBudget(limit)}
	w.queue = pipeline.NewCreditQueue(w.budget, func() { w.nudged = true })
	return w
}

// door takes the answers home, on the one thread of the test.
type door struct{}

func (door) Post(p *pipeline.Parcel) { p.Open() }

func (w *creditWorld) ask(t *rapid.T, n int64) {
	w.number++
	a := &waiter{m: &pipeline.Message{Wanted: n, Door: door{}}, number: w.number}
	a.m.Home = func() { w.home(t, a) }
	if w.budget.Claim(n) {
		w.fast = append(w.fast, n)
		return
	}
	w.asked = append(w.asked, a)
	w.queue.Ask(a.m)
}

func (w *creditWorld) home(t *rapid.T, a *waiter) {
	a.answers++
	if a.answers > 1 {
		t.Fatalf("waiter %d: %d answers", a.number, a.answers)
	}
	if a.m.Credit != 0 && a.m.Credit != a.m.Wanted {
		t.Fatalf("waiter %d wanted %d, got %d", a.number, a.m.Wanted, a.m.Credit)
	}
	if a.m.Credit == 0 && !a.m.Forsaken() && a.m.Wanted > 0 {
		t.Fatalf("waiter %d came home without credit", a.number)
	}
	if a.m.Credit > 0 { // first come, first served: all before it gave up
		for _, before := range w.asked {
			if before == a {
				break
			}
			if !before.m.Forsaken() {
				t.Fatalf("waiter %d passed waiter %d", a.number, before.number)
			}
		}
		w.holding = append(w.holding, a)
	}
	w.asked = slices.DeleteFunc(w.asked, func(x *waiter) bool { return x == a })
}

// serve does what the owner does after a nudge.
func (w *creditWorld) serve() {
	for w.nudged {
		w.nudged = false
		w.queue.Serve()
	}
}

func (w *creditWorld) giveOne(i int) {
	if n := len(w.fast); i < n {
		credit := w.fast[i]
		w.fast = slices.Delete(w.fast, i, i+1)
		w.budget.Give(credit)
	} else if i -= n; i < len(w.holding) {
		credit := w.holding[i].m.Credit
		w.holding = slices.Delete(w.holding, i, i+1)
		w.budget.Give(credit)
	}
}

func (w *creditWorld) check(t *rapid.T) {
	var used int64
	for _, n := range w.fast {
		used += n
	}
	for _, a := range w.holding {
		used += a.m.Credit
	}
	if got := w.budget.Used(); got != used || got > w.budget.Limit() || got < 0 {
		t.Fatalf("used %d of %d, held %d", got, w.budget.Limit(), used)
	}
	if got := int(w.budget.Waiters()); got != len(w.asked) || w.queue.Waiting() != got {
		t.Fatalf("%d waiters, %d in the queue, want %d", got, w.queue.Waiting(), len(w.asked))
	}
	if len(w.asked) > 0 && !w.nudged {
		if head := w.asked[0]; !head.m.Forsaken() && head.m.Wanted <= w.budget.Limit()-used {
			t.Fatalf("waiter %d waits for %d, %d are free", head.number, head.m.Wanted, w.budget.Limit()-used)
		}
	}
}

// TestCredit: whatever happens in whatever order, the budget is kept, credit is
// given in turn, everybody is answered once, and nothing is left at the end.
func TestCredit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 100).Draw(t, "limit")
		w := newCreditWorld(limit)
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) { w.ask(t, rapid.Int64Range(1, limit).Draw(t, "wanted")) },
			"give": func(t *rapid.T) {
				if n := len(w.fast) + len(w.holding); n > 0 {
					w.giveOne(rapid.IntRange(0, n-1).Draw(t, "which"))
				}
			},
			"forsake": func(t *rapid.T) {
				if n := len(w.asked); n > 0 {
					w.asked[rapid.IntRange(0, n-1).Draw(t, "which")].m.Forsake()
				}
			},
			"nudge": func(*rapid.T) { w.serve() },
			"sweep": func(t *rapid.T) {
				w.queue.Sweep()
				for _, a := range w.asked {
					if a.m.Forsaken() {
						t.Fatalf("waiter %d is still there", a.number)
					}
				}
			},
			"": w.check,
		})
		w.queue.Sweep() // who gave up is sent home even when nobody gives any more
		for len(w.fast)+len(w.holding) > 0 {
			w.giveOne(0)
			w.serve()
		}
		w.check(t)
		if w.budget.Used() != 0 || w.budget.Waiters() != 0 || len(w.asked) != 0 {
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
	post := func(p *pipeline.Parcel) {
		inbox.Push(p)
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	var serve atomic.Bool
	queue := pipeline.NewCreditQueue(budget, func() {
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
				inbox.OpenAll()
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
			home := make(chan struct{}, 1)
			m := &pipeline.Message{Door: doorFunc(func(*pipeline.Parcel) { home <- struct{}{} })}
			m.Asks = func() { queue.Ask(m) }
			for i := range rounds {
				m.Wanted = int64(1 + (i+loop)%limit)
				m.Credit = 0
				if budget.Claim(m.Wanted) {
					m.Credit = m.Wanted
				} else {
					m.Parcel.Open = m.Asks
					post(&m.Parcel)
					<-home
				}
				if used := budget.Used(); used > limit || m.Credit != m.Wanted {
					t.Errorf("used %d of %d, credit %d of %d", used, limit, m.Credit, m.Wanted)
				}
				budget.Give(m.Credit)
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

type doorFunc func(p *pipeline.Parcel)

func (f doorFunc) Post(p *pipeline.Parcel) { f(p) }

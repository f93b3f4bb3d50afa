package sim

import (
	"iter"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
)

// line is the pack.Line of a process. The workers of its pack.Batcher are coroutines: one
// that waits lets the world go on, and is resumed once what it waits for has come.
type line struct {
	p         *process
	waiting   []lent
	leftover  *lent
	filling   bool // by a worker between Begin and End
	closed    bool
	completed int
	workers   []*lane
	running   *lane
}

// lane is a worker of the Batcher.
type lane struct {
	resume func() (struct{}, bool)
	yield  func(struct{}) bool
	ready  func() bool // what it waits for
	ended  bool
	held   []lent // messages that it took and has not stored
}

// lent is a message that the store reads, until giveBack.
type lent struct {
	pack.Waiting
	giveBack func()
}

// start starts a worker, which runs until it waits.
func (l *line) start(run func()) {
	worker := &lane{}
	worker.resume, _ = iter.Pull(func(yield func(struct{}) bool) {
		worker.yield = yield
		run()
	})
	l.workers = append(l.workers, worker)
	l.run(worker)
}

func (l *line) run(worker *lane) {
	l.running = worker
	_, going := worker.resume()
	l.running, worker.ended = nil, !going
}

// wait lets the world go on until ready returns true, or the process is killed.
func (l *line) wait(ready func() bool) {
	worker := l.running
	for !ready() && !l.p.dead {
		worker.ready = ready
		worker.yield(struct{}{})
	}
	worker.ready = nil
}

// wake has the workers look, a little after d, whether what they wait for has come.
func (l *line) wake(d time.Duration) {
	l.p.w.after(d+l.p.w.within(time.Millisecond), func() {
		if len(l.workers) == 0 || l.p.dead {
			return
		}
		first := l.p.w.random.IntN(len(l.workers))
		for i := range l.workers {
			worker := l.workers[(first+i)%len(l.workers)]
			if worker.ready != nil && worker.ready() {
				l.run(worker)
			}
		}
	})
}

// end runs the workers of a killed process, or of one that was closed, to their end.
func (l *line) end() {
	for range l.workers { // one may wait for another
		for _, worker := range l.workers {
			if !worker.ended {
				l.run(worker)
			}
		}
	}
	for _, worker := range l.workers {
		if !worker.ended {
			l.p.w.fail("a lane does not end")
		}
	}
}

// Now implements pack.Line.
func (l *line) Now() time.Time { return epoch.Add(l.p.w.now) }

// Put implements pack.Line.
func (l *line) Put(next pack.Waiting) bool {
	if len(l.waiting) == lineSize {
		l.p.w.tally["no room for a lane"]++
		return false
	}
	l.waiting = append(l.waiting, lent{next, l.p.lend(&next.Message.Body)})
	l.wake(0)
	return true
}

// Begin implements pack.Line. No lane of the world is opened for a time only.
func (l *line) Begin(<-chan struct{}) (first pack.Waiting, open bool) {
	l.wait(func() bool { return !l.filling })
	l.filling = true
	if next := l.leftover; next != nil {
		l.leftover = nil
		return l.hold(*next), true
	}
	l.wait(func() bool { return len(l.waiting) > 0 || l.closed })
	if first, open = l.take(); !open {
		l.End(nil)
	}
	return first, open
}

// Next implements pack.Line.
func (l *line) Next(until func() time.Time) (next pack.Waiting, found bool) {
	for len(l.waiting) == 0 && !l.closed && !l.p.dead {
		end, completed := until(), l.completed
		remaining := end.Sub(l.Now())
		if remaining <= 0 {
			break
		}
		l.p.w.tally["packs held"]++
		l.wake(remaining)
		l.wait(func() bool {
			return len(l.waiting) > 0 || l.closed || l.completed > completed || !l.Now().Before(end)
		})
	}
	return l.take()
}

func (l *line) take() (next pack.Waiting, found bool) {
	if len(l.waiting) == 0 {
		return pack.Waiting{}, false
	}
	first := l.waiting[0]
	l.waiting = l.waiting[1:]
	return l.hold(first), true
}

func (l *line) hold(next lent) pack.Waiting {
	l.running.held = append(l.running.held, next)
	return next.Waiting
}

// End implements pack.Line.
func (l *line) End(leftover *pack.Waiting) {
	l.filling = false
	if held := l.running.held; leftover != nil {
		last := held[len(held)-1]
		l.leftover = &last
		l.running.held = held[:len(held)-1]
		l.p.w.tally["packs with a message left over"]++
	}
	l.wake(0)
}

// Completed implements pack.Line.
func (l *line) Completed() {
	l.completed++
	l.wake(0)
}

// Close implements pack.Line.
func (l *line) Close() {
	l.closed = true
	l.end()
}

// giveBack ends the loan of what the running worker holds. A result must not come later
// than the deadline of the message.
func (l *line) giveBack() {
	held := l.running.held
	l.running.held = nil
	if l.p.dead {
		return
	}
	for _, one := range held {
		one.giveBack()
		if late := l.Now().Sub(one.Since) - timeouts.Store; late > laneSlack {
			l.p.w.fail("a small message had no result %v after its deadline", late)
		}
	}
}

// laneSlack is how much later than its deadline a message in a lane may have its result:
// a worker wakes a little later, and may have waited for more messages.
const laneSlack = 100 * time.Millisecond

var _ pack.Line = (*line)(nil)

// refuse is the result of a message that found no room.
func refuse(m *pipeline.Message) { m.Stored(pipeline.Blob{}, pipeline.Digest{}, errFault) }

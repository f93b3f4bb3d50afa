package pack

import (
	"errors"
	"time"

	"sluice/pipeline"
)

// runner is the goroutine of a lane.
type runner struct {
	lanes *Lanes
	lane  Lane
	pack  *Pack
	began time.Time   // to fill the pack
	times []time.Time // since when each message of the pack waits
	timer *time.Timer
}

func (r *runner) run() {
	for r.gather() {
		r.store()
	}
}

// gather fills the pack when it is this lane's turn: two that gathered at the same
// time would have half a pack each. It gives false when no message will come.
func (r *runner) gather() bool {
	l := r.lanes
	over := <-l.turn
	defer func() { l.turn <- over }()
	if over == nil {
		next, open := <-l.queue
		if !open {
			return false
		}
		over = &next
	}
	r.began, r.times = time.Now(), r.times[:0]
	over = r.fill(*over)
	l.busy.Add(1)
	l.underWay.Add(int64(r.pack.Len()))
	return true
}

// fill adds what waits. What came much later than the first is left over for the
// next turn: the oldest message's deadline is that of its neighbours.
func (r *runner) fill(first waiting) (over *waiting) {
	o := &r.lanes.options
	for r.add(first); o.Room(r.pack.Len(), r.pack.Octets()); {
		next, found := r.next()
		if !found {
			return nil
		}
		if next.since.Sub(first.since) > o.Timeout/4 {
			return &next
		}
		r.add(next)
	}
	return nil
}

// next gives a message that waits, or one that comes while the pack may wait.
func (r *runner) next() (waiting, bool) {
	l := r.lanes
	for {
		select {
		case next, open := <-l.queue:
			return next, open
		default:
		}
		span := r.mayWait() - time.Since(r.began)
		if span <= 0 {
			return waiting{}, false
		}
		r.timer.Reset(span)
		select {
		case next, open := <-l.queue:
			return next, open
		case <-l.ended: // so less may be worth a request
		case <-r.timer.C:
		}
	}
}

// mayWait gives how long from its beginning the pack may wait for more.
func (r *runner) mayWait() time.Duration {
	l := r.lanes
	if Worth(r.pack.Len(), l.busy.Load(), l.underWay.Load()) {
		return l.options.Linger
	}
	patience := l.options.Patience
	if patience <= 0 {
		patience = l.pace.usual()
	}
	return max(l.options.Linger, patience)
}

func (r *runner) add(w waiting) {
	r.lanes.octets.Add(-w.message.Length())
	r.pack.Add(w.message)
	r.times = append(r.times, w.since)
}

var errWaited = errors.New("waited too long for a lane")

// store stores what was gathered, answers it, and says that the lane is free.
func (r *runner) store() {
	l, n := r.lanes, r.pack.Len()
	began := time.Now()
	if r.request(n, began) {
		l.pace.note(time.Since(began))
	}
	l.underWay.Add(-int64(n))
	l.busy.Add(-1)
	select {
	case l.ended <- struct{}{}:
	default:
	}
}

// request says whether there was one that took as long as it usually does: what is
// over before it, or refused, takes no time.
func (r *runner) request(n int, now time.Time) (usual bool) {
	o := &r.lanes.options
	for _, since := range r.times {
		o.Observer.PackWaited(now.Sub(since).Seconds())
	}
	o.Observer.PackTaken(n, r.pack.Octets())
	oldest := r.times[0]
	if now.Sub(oldest) > o.Timeout {
		r.answer(n, &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "pack: queue", Err: errWaited})
		return false
	}
	if n == 1 {
		m := r.pack.Messages()[0]
		r.pack.Clear()
		r.lane.Alone(m, oldest)
		return true
	}
	apart, err := r.lane.Together(r.pack, oldest)
	o.Observer.PackDone(pipeline.KindOf(err).String())
	if err == nil || !apart {
		r.answer(n, err)
		return err == nil
	}
	o.Observer.PackSplit(n, err)
	for i, m := range r.pack.Messages() {
		r.lane.Apart(m, r.times[i])
	}
	r.pack.Clear()
	return false
}

func (r *runner) answer(n int, err error) {
	if err == nil {
		r.pack.Stored()
	} else {
		r.pack.Fail(err)
	}
	r.lane.Answered(n)
}

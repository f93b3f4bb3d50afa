package sim

import "time"

// agenda is the queue of future events, by virtual time. Events of the same time run in
// the order in which they were scheduled.
type agenda struct {
	now    time.Duration // since the world began
	count  uint64
	events []event
}

type event struct {
	at    time.Duration
	order uint64
	run   func()
}

func (a *agenda) before(i, j int) bool {
	x, y := &a.events[i], &a.events[j]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

// after schedules run for a later time.
func (a *agenda) after(d time.Duration, run func()) {
	a.count++
	a.events = append(a.events, event{a.now + d, a.count, run})
	for i := len(a.events) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.before(i, parent) {
			return
		}
		a.events[i], a.events[parent] = a.events[parent], a.events[i]
		i = parent
	}
}

// next advances the time to the next event and runs it. It reports whether there was one.
func (a *agenda) next() bool {
	if len(a.events) == 0 {
		return false
	}
	e := a.events[0]
	last := len(a.events) - 1
	a.events[0] = a.events[last]
	a.events[last] = event{}
	a.events = a.events[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if a.before(child, least) {
				least = child
			}
		}
		if least == i {
			break
		}
		a.events[i], a.events[least] = a.events[least], a.events[i]
		i = least
	}
	a.now = e.at
	e.run()
	return true
}

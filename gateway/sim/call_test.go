package sim

import (
	"time"

	"sluice/gateway/driver"
)

// callWorlds marks the seeds of worlds in which sessions have calls: slow work that is
// no message.
const callWorlds = 1 << 62

// callLimit is how long a session waits for the result of a call.
const callLimit = time.Second

// callToken tells the results of calls apart.
type callToken struct{ begun time.Duration }

// call now and then begins slow work for the session, between two commands. Until its
// result comes, the session must take no input.
func (s *socket) call() {
	w := s.p.w
	if s.closed || s.paused || s.calling != nil || !w.chance(w.plan.calls) {
		return
	}
	token, taken := &callToken{w.now}, s.taken
	s.calling = token
	begun := s.loop.loop.Call(&s.conn, callLimit, func(c *driver.Call) {
		w.tally["calls"]++
		w.note("call", s.sender.n, len(s.in))
		w.begin(w.pace(w.plan.storeLate, w.storeOut), nil, func() {
			if s.closed {
				w.tally["calls of ended sessions"]++
			}
			c.Done(token, nil)
		})
	}, func(_ *driver.Conn, value any, err error) {
		w.note("call done", s.sender.n, len(s.in))
		switch late := w.now - token.begun; {
		case s.closed:
			w.fail("a closed connection of sender %d got the result of a call", s.sender.n)
		case s.calling != token || err == nil && value != token:
			w.fail("sender %d's session got the result of another call", s.sender.n)
		case s.taken != taken:
			w.fail("sender %d's session took input during a call", s.sender.n)
		case late > callLimit+slack:
			w.fail("sender %d's session waited %v for a call", s.sender.n, late)
		case err != nil:
			w.tally["calls overdue"]++
		}
		s.calling = nil
	})
	if !begun {
		s.calling = nil
	}
}

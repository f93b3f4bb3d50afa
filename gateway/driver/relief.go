package driver

import (
	"cmp"
	"math"
	"slices"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// Memory is held only by those who get on. The hold time of a message is the time in
// which it would receive, at its present rate, as much as it holds. While memory is short
// there is a longest hold time, which is the shorter the less memory is left and the
// longer others wait. Whoever exceeds it gives back what it holds, the slowest first
// (docs/decisions.md, Hold times).

// envelopeTimes bounds, in timeouts.command, the age of an envelope that holds memory.
const envelopeTimes = 2

// shortVerdict is how long a message waits for its verdict while memory is short. Whoever
// answers for a sender's domain chooses how long it takes, and the message holds its memory.
const shortVerdict = time.Second

// reliefEvery is the time in ticks between two looks at who holds memory.
var reliefEvery = ticksOf(time.Second)

// holder is a connection whose message holds memory, with its hold time in ticks.
type holder struct {
	conn    *Conn
	message *pipeline.Message
	hold    int64
}

// mark begins a measurement of what a message makes of the memory that it holds.
func (l *Loop) mark(m *pipeline.Message) {
	m.Memory.Mark = pipeline.Mark{Received: received(m), Tick: l.tick()}
}

// received returns the bytes that have come of what a message receives at present: its
// recipients, or its text.
func received(m *pipeline.Message) int64 {
	if m.Stage == pipeline.StageEnvelope {
		return int64(m.Envelope.Text())
	}
	return m.Decoded
}

// holdTicks returns the hold time of a message in ticks.
func (l *Loop) holdTicks(m *pipeline.Message) int64 {
	return held(m) * l.measured(m) / max(1, received(m)-m.Memory.Mark.Received)
}

// held returns the bytes that a message holds of the budgets.
func held(m *pipeline.Message) int64 {
	held := m.Memory.Credit + m.Memory.Envelope
	if m.Parts.Current != nil {
		held += m.Parts.Current.Credit
	}
	return held
}

// measured returns the time in ticks since the measurement of a message began.
func (l *Loop) measured(m *pipeline.Message) int64 { return max(1, l.tick()-m.Memory.Mark.Tick) }

// holdTime is holdTicks as a duration.
func (l *Loop) holdTime(m *pipeline.Message) time.Duration {
	return time.Duration(min(l.holdTicks(m), math.MaxInt64/int64(tickLength))) * tickLength
}

// envelopeLeft returns the time that is left to an envelope. One that holds no memory has
// as much as it likes.
func (l *Loop) envelopeLeft(m *pipeline.Message) time.Duration {
	if m == nil || m.Memory.Envelope == 0 {
		return math.MaxInt64
	}
	age := time.Duration(l.tick()-m.Memory.EnvelopeSince) * tickLength
	return max(0, envelopeTimes*l.generation.Timeouts.Command-age)
}

// longestHold returns the longest hold time in ticks for who holds body memory. It is
// timeouts.credit × limit / 50 for each byte above three quarters of the budget, 7 s in
// the end. A time of 3 s in which messages wait and none is granted memory makes it 11 s.
func (s *Shared) longestHold() int64 {
	credit := ticksOf(s.generation.Load().Timeouts.Credit)
	hold := s.bodyCredits.shareOf(credit * credit / 240)
	limit := s.Budget.Limit()
	if above := s.Budget.Used() - limit*3/4; above > 0 {
		hold = min(hold, credit*limit/(50*above))
	}
	return hold
}

// longestPartHold is longestHold for who fills a part. Parts are more often short, as they
// are what holds back the senders of large mail. Nobody gives way for a store that holds
// most of them.
func (s *Shared) longestPartHold() int64 {
	if s.partCredits == nil || 2*s.partsOut.Load() > s.Parts.Limit() {
		return math.MaxInt64
	}
	credit := ticksOf(s.generation.Load().Timeouts.Credit)
	return s.partCredits.shareOf(credit * credit / 32)
}

// shareOf divides square ticks by the ticks that the first message has waited.
func (p *creditPool) shareOf(square int64) int64 {
	waited := ticksOf(time.Duration(p.waited.Load()))
	if waited == 0 {
		return math.MaxInt64
	}
	return max(1, square/waited)
}

// window returns the time in ticks that tells the rate of a message, for a longest hold
// time: 2 to 10 s. A network may stand still for that time.
func (s *Shared) window(longest int64) int64 {
	credit := ticksOf(s.generation.Load().Timeouts.Credit)
	return max(1, credit/45, min(longest/10, credit/9))
}

// relieve sees to it that memory comes back while it is short.
func (l *Loop) relieve() {
	s, forParts := l.shared, int64(0)
	if s.partCredits != nil {
		forParts = s.Parts.Waiters()
	}
	if l.tick() < l.relieveAt || s.Budget.Waiters()+forParts == 0 && s.Budget.Used() <= s.Budget.Limit()*3/4 {
		return
	}
	l.relieveAt = l.tick() + reliefEvery
	l.findHolders()
	slices.SortFunc(l.holders, func(a, b holder) int { return cmp.Compare(b.hold, a.hold) })
	for _, h := range l.holders {
		m, longest, part := h.message, s.longestHold(), false
		if m.Parts.Current != nil && forParts > 0 {
			forPart := s.longestPartHold()
			longest, part = min(longest, forPart), forPart < longest
		}
		switch {
		case m.Stage == pipeline.StageVerifying:
			l.turn(h.conn, "relief", func() {
				if l.verdictOverdue(h.conn) {
					s.Observer.MemoryRelieved("verdict")
				}
			})
		case l.measured(m) < s.window(longest):
		case h.hold <= longest:
			l.mark(m)
		default:
			if part {
				forParts--
			}
			l.turn(h.conn, "relief", func() { l.takeBack(h.conn, m) })
		}
	}
	clear(l.holders)
	l.holders = l.holders[:0]
}

// findHolders finds who holds memory and may be judged. Credit that is not needed soon
// comes back on the way.
func (l *Loop) findHolders() {
	for slot := range l.wheel.slots {
		for c := l.wheel.slots[slot]; c != nil; c = c.next {
			m := c.session.Message()
			if m == nil || c.call != nil {
				continue
			}
			switch {
			case c.session.Phase() == session.PhaseBody && m.Result.Err == nil && !m.Memory.Request.InFlight():
				if l.measured(m) >= reliefEvery {
					l.returnSpare(m)
				}
			case m.Memory.Envelope > 0 && onlyEnvelope(c, m):
			case m.Stage == pipeline.StageVerifying && m.Memory.Credit > 0 && l.now.Sub(m.ReceivedAt) >= shortVerdict:
			default:
				continue
			}
			l.holders = append(l.holders, holder{c, m, l.holdTicks(m)})
		}
	}
}

// onlyEnvelope reports whether a message has no text yet, or none any more because it is
// refused and the rest is dropped.
func onlyEnvelope(c *Conn, m *pipeline.Message) bool {
	return m.Stage == pipeline.StageEnvelope || c.session.Phase() == session.PhaseBody && m.Result.Err != nil
}

// returnSpare returns the credit to the budget that a message will not need within the time
// of a look at its present rate, and what it had booked beyond ten times as much.
func (l *Loop) returnSpare(m *pipeline.Message) {
	rate := (m.Decoded - m.Memory.Mark.Received) * reliefEvery / l.measured(m)
	l.unbook(m, 10*rate)
	if m.Parts.Current == nil {
		l.giveSpare(m, m.Memory.Credit-m.Body.Held()-readAhead-rate)
	}
}

// giveSpare returns spare bytes of the body credit of a message to the budget, if there
// are any.
func (l *Loop) giveSpare(m *pipeline.Message, spare int64) {
	if spare > 0 {
		m.Memory.Credit -= spare
		l.shared.Budget.Give(spare)
	}
}

// takeBack takes the memory of a message. One that holds its envelope alone ends its
// session.
func (l *Loop) takeBack(c *Conn, m *pipeline.Message) {
	if onlyEnvelope(c, m) {
		l.shared.Observer.MemoryRelieved("envelope")
		l.step(c, session.Event{Kind: session.TimedOut})
		return
	}
	l.shared.Observer.MemoryRelieved("body")
	l.failBody(m, errNoMemory)
	l.setTextDeadline(c, m)
}

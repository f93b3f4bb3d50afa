package driver

import (
	"math"
	"sync/atomic"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// readAhead is the memory in bytes that a message reserves ahead of its need. Input that
// was read before memory ran out finds room in the message itself, so a connection that
// pauses in the middle of a body carries none. It exceeds what a reactor reads at a time
// (32 KiB), together with what stays unread without a pause.
const readAhead = 40 << 10

// growth bounds the bytes that a message takes at a time as it grows.
const growth = 1 << 20

// waitGrowth bounds the bytes that it asks for when it has to wait: a common part.
const waitGrowth = 5 << 20

// firstGrowth bounds the bytes that a message has before 354, whatever its sender declares:
// enough for most messages.
const firstGrowth = 256 << 10

// patience divides timeouts.credit. For that time small requests for credit pass a larger
// one. When no waiting message got memory for that time, one of them is refused.
const patience = 30

// errNoMemory is the failure of a message that outgrew the memory there was.
var errNoMemory = &pipeline.Failure{Kind: pipeline.KindMemory, Op: "receive"}

// creditPool hands out the credit of one budget to all loops of the process.
type creditPool struct {
	budget   *pipeline.Budget
	queue    *pipeline.CreditQueue
	notice   pipeline.Task
	notified atomic.Bool
	waited   atomic.Int64 // nanoseconds that the first message in the queue has waited
}

// newCreditPool returns the pool of a budget. The loop home serves its queue.
func newCreditPool(budget *pipeline.Budget, home *Loop) *creditPool {
	wait := home.generation.Timeouts.Credit / patience
	p := &creditPool{budget: budget}
	p.notice.Run = func() {
		p.notified.Store(false)
		p.queue.Serve()
	}
	p.queue = pipeline.NewCreditQueue(budget, wait, func() {
		if p.notified.CompareAndSwap(false, true) {
			home.Post(&p.notice)
		}
	})
	return p
}

// own makes a loop the home of the credit pools.
func (s *Shared) own(l *Loop) {
	s.creditHome = l
	s.Budget.LeaveRoom(s.Budget.Limit() / 8)
	s.bodyCredits = newCreditPool(s.Budget, l)
	if s.parts != nil {
		s.partCredits = newCreditPool(s.Parts, l)
	}
}

// sweep sees to those who wait for credit, once a tick. Messages that wait for a part
// hold nothing of the part budget, so none of them has to give way.
func (s *Shared) sweep(now time.Time) {
	s.bodyCredits.sweep(now)
	s.bodyCredits.queue.EvictSlowest()
	if s.partCredits != nil {
		s.partCredits.sweep(now)
	}
}

func (p *creditPool) sweep(now time.Time) {
	if p.budget.Waiters() > 0 {
		p.queue.Tick(now)
	}
	p.waited.Store(int64(p.queue.Waited()))
}

// askCredit takes body memory for the transaction, or has it wait for some. It reports
// whether the memory was there.
func (l *Loop) askCredit(c *Conn) bool {
	m := c.session.Message()
	m.Owner = c
	wanted := min(m.Memory.Wanted, l.shared.firstCredit)
	first := min(wanted, pipeline.SlabBytes(firstGrowth))
	want := pipeline.Want{Bytes: first, Expected: wanted - first}
	want.Unknown = m.Envelope.SizeDeclared <= 0 && first < l.shared.firstCredit
	if l.shared.Budget.Claim(want) {
		m.Memory.Credit, m.Memory.Booked = first, wanted-first
		l.beginBody(m)
		return true
	}
	m.Stage = pipeline.StageCredit
	l.setDeadline(c, l.generation.Timeouts.Credit)
	l.ask(m, l.shared.bodyCredits, want)
	return false
}

// ask has a message wait for credit.
func (l *Loop) ask(m *pipeline.Message, pool *creditPool, want pipeline.Want) {
	a := &m.Memory.Request
	a.Queue, a.Want, a.Since = pool.queue, want, l.now
	a.Growing = m.Stage == pipeline.StageReceiving
	if a.Growing {
		a.Held, a.Hold = m.Memory.Credit, l.holdTime(m)
		a.Counts = min(firstGrowth, pool.budget.Limit()/32)
	}
	a.Begin(l.shared.creditHome)
}

// extend takes more body credit for a message that grows, or asks for it.
func (l *Loop) extend(m *pipeline.Message) bool {
	if m.Memory.Request.InFlight() {
		return false
	}
	credit, most := m.Memory.Credit, l.shared.firstCredit
	if common := pipeline.SlabBytes(firstGrowth); credit < common {
		most = min(most, common)
	}
	n := pipeline.SlabBytes(min(2*credit, credit+growth, most)) - credit
	if booked := m.Memory.Booked; booked >= 2*readAhead && m.Decoded < m.Envelope.SizeDeclared {
		n = min(n, booked) // it has not outgrown what was declared
	}
	if want := l.more(m, n); l.shared.Budget.ClaimMore(want) {
		l.addCredit(m, want)
		return true
	}
	// Who has to wait waits seldom: for as much as it has, up to a common part.
	n = pipeline.SlabBytes(min(max(2*credit, credit+firstGrowth), credit+waitGrowth, most)) - credit
	l.ask(m, l.shared.bodyCredits, l.more(m, n))
	return false
}

// more returns what a message that grows by n bytes wants. When that is more than what was
// booked for it and than most messages have, it is expected to grow on by as much as it
// has then, and at least by a common part.
func (l *Loop) more(m *pipeline.Message, n int64) pipeline.Want {
	credit := m.Memory.Credit + n
	if m.Memory.Booked >= n || credit <= pipeline.SlabBytes(firstGrowth) {
		return pipeline.Want{Bytes: n}
	}
	l.unbook(m, 0)
	return pipeline.Want{Bytes: n, Expected: min(max(credit, waitGrowth), max(0, l.shared.firstCredit-credit)), Unknown: true}
}

// addCredit adds credit that was taken for a message that grows, and what was booked with
// it.
func (l *Loop) addCredit(m *pipeline.Message, w pipeline.Want) {
	m.Memory.Credit += w.Bytes
	l.unbook(m, max(0, m.Memory.Booked-w.Bytes))
	m.Memory.Booked += w.Expected
}

// unbook leaves a message no more than n bytes booked.
func (l *Loop) unbook(m *pipeline.Message, n int64) {
	if n < m.Memory.Booked {
		l.shared.Budget.Book(n - m.Memory.Booked)
		m.Memory.Booked = n
	}
}

// reserveAhead asks for the memory that the next input will need, and hands a full
// part to the store when there is no other to fill.
func (l *Loop) reserveAhead(m *pipeline.Message) {
	if m.Result.Err != nil {
		return
	}
	switch {
	case l.partFull(m):
		l.nextPart(m)
		if m.Memory.Request.InFlight() {
			l.sendPart(m) // its memory comes back by that
		}
	case m.Parts.Current == nil && m.Memory.Credit < l.shared.firstCredit && !hasDeclared(m) &&
		m.Memory.Credit-m.Body.Held()+int64(len(m.Body.Room())) < readAhead:
		l.extend(m)
	}
}

// hasDeclared reports whether a message has memory for all that its sender has declared,
// and is no longer than that.
func hasDeclared(m *pipeline.Message) bool {
	declared := m.Envelope.SizeDeclared
	return declared > 0 && m.Decoded <= declared && pipeline.SlabBytes(declared+minRoom) <= m.Memory.Credit
}

// creditCame goes on with a message that has waited for credit; none says that
// it was refused for the sake of an older one.
func (l *Loop) creditCame(c *Conn, m *pipeline.Message, credit int64) {
	if credit == 0 {
		l.creditWaited(m, "refused")
		l.failBody(m, errNoMemory)
		l.setTextDeadline(c, m)
		return
	}
	l.creditWaited(m, "granted")
	switch {
	case m.Stage == pipeline.StageCredit:
		m.Memory.Credit, m.Memory.Booked = credit, m.Memory.Request.Expected
		l.beginBody(m)
		l.step(c, session.Event{Kind: session.CreditGranted})
		return
	case l.partFull(m):
		l.beginPart(m)
	default:
		l.addCredit(m, m.Memory.Request.Want)
	}
	m.Rate.Since = 0 // the time that it waited is ours
	l.mark(m)
	l.setTextDeadline(c, m)
}

func (l *Loop) creditWaited(m *pipeline.Message, result string) {
	l.shared.Observer.CreditWaited(result, l.now.Sub(m.Memory.Request.Since).Seconds())
}

// Budgets divides the memory for bodies in two: for what has not left yet of any
// message, and for the parts of large messages, from the second on. With one for
// both, first parts that are held back until the end could fill it, and no
// message would ever have a second part (docs/decisions.md, Two budgets).
// partSize 0 says that the store takes no parts.
func Budgets(octets, partSize int64, uploads int) (bodies, parts *pipeline.Budget) {
	if partSize == 0 {
		return pipeline.NewBudget(octets), pipeline.NewBudget(0)
	}
	part := partCredit(partSize)
	reserve := max(part, min(int64(uploads)*part, octets/4))
	return pipeline.NewBudget(octets - reserve), pipeline.NewBudget(reserve)
}

// LeastMemory returns the bytes below which Budgets would leave too little for a
// message of some size to pass.
func LeastMemory(messageSize, partSize int64) int64 {
	whole := pipeline.SlabBytes(messageSize + readAhead)
	if partSize == 0 {
		return whole
	}
	part := partCredit(partSize)
	return max(min(whole, part)+part, min(whole, part)*4/3+1)
}

// PatientMemory returns the bytes below which one message of some size makes memory short
// by itself, so that a slow sender is told 452.
func PatientMemory(messageSize, partSize int64) int64 {
	most := mostCredit(messageSize, partSize)*4/3 + 1
	if partSize == 0 {
		return most
	}
	return max(most+partCredit(partSize), most*4/3+1)
}

// partCredit is the memory of one part.
func partCredit(partSize int64) int64 { return pipeline.SlabBytes(partSize + readAhead) }

// mostCredit is the body memory that a message ever needs.
func mostCredit(messageSize, partSize int64) int64 {
	if partSize == 0 {
		partSize = math.MaxInt64 / 2
	}
	return pipeline.SlabBytes(min(messageSize, partSize) + readAhead)
}

package driver

import "sluice/pipeline"

// messagesKept bounds the free messages that a loop keeps for reuse.
const messagesKept = 1024

// messagePool keeps one loop's free messages.
type messagePool struct {
	loop *Loop
	free []*pipeline.Message
}

// Take implements session.Pool.
func (p *messagePool) Take() *pipeline.Message {
	if n := len(p.free); n > 0 {
		m := p.free[n-1]
		p.free = p.free[:n-1]
		return m
	}
	l := p.loop
	m := &pipeline.Message{Loop: l}
	m.OnResult = func() { l.onMessageResult(m) }
	m.Memory.Request.Loop = l
	m.Memory.Request.OnResult = func() { l.onCredit(m) }
	m.Memory.Request.OnRequest = func() { m.Memory.Request.Queue.Enqueue(&m.Memory.Request) }
	m.Reset()
	return m
}

func (p *messagePool) give(m *pipeline.Message) {
	m.Reset()
	if len(p.free) < messagesKept {
		p.free = append(p.free, m)
	}
}

// release ends a message that its session has released. A message in flight is detached
// and ends when it returns.
func (l *Loop) release(m *pipeline.Message) {
	m.Owner = nil
	l.dropPart(m)
	l.dropVerification(m)
	m.Memory.Request.Drop()
	if m.InFlight() {
		m.Detach()
		return
	}
	l.abortUpload(m)
	l.freeBody(m)
	if m.Memory.Envelope > 0 {
		l.shared.Budget.Give(m.Memory.Envelope)
		m.Memory.Envelope = 0
	}
	l.messages.give(m)
}

const (
	envelopeFree  = 8 << 10  // what every transaction may have without asking
	envelopeChunk = 16 << 10 // what a longer one asks for at a time
)

// envelopeRoom takes body memory for an envelope that grows by a recipient, and reports
// whether there was enough. A thousand recipients of full length in each of 19,000
// sessions would be 5 GB. A buffer that grows may be twice as large as its contents. The
// event has the same addresses once more, in a pack and then on its way to the log.
func (l *Loop) envelopeRoom(m *pipeline.Message, recipient []byte) bool {
	need := 2*int64(m.Envelope.Text()+len(recipient)) - envelopeFree +
		m.Envelope.EventSize() + pipeline.RecipientBound(recipient)
	for m.Memory.Envelope < need {
		if !l.shared.Budget.TakeBelow(envelopeChunk) {
			return false
		}
		if m.Memory.Envelope == 0 {
			m.Memory.EnvelopeSince = l.tick()
			l.mark(m)
		}
		m.Memory.Envelope += envelopeChunk
	}
	return true
}

// freeBody returns the slabs and the credit of a message to their pools, unless the
// verifier still reads them: then that is done when the last piece returns.
func (l *Loop) freeBody(m *pipeline.Message) {
	if v := m.Verification; v != nil && v.Out > 0 {
		return
	}
	m.Body.Release(l.slabs)
	l.unbook(m, 0)
	if m.Memory.Credit > 0 {
		credit := m.Memory.Credit
		m.Memory.Credit = 0
		l.shared.Budget.Give(credit)
	}
}

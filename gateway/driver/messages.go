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
	m := &pipeline.Message{Door: l}
	m.Home = func() { l.arrived(m) }
	m.Asks = func() { l.shared.credit.Ask(m) }
	m.Reset()
	return m
}

func (p *messagePool) give(m *pipeline.Message) {
	m.Reset()
	if len(p.free) < messagesKept {
		p.free = append(p.free, m)
	}
}

// letGo ends a message that its session has released: at once, or, while
// somebody else holds it, when it comes home.
func (l *Loop) letGo(m *pipeline.Message) {
	m.Owner = nil
	if m.UnderWay() {
		m.Forsake()
		return
	}
	l.freeBody(m)
	l.messages.give(m)
}

// freeBody gives a message's slabs and credit back.
func (l *Loop) freeBody(m *pipeline.Message) {
	m.Body.Release(l.slabs)
	if m.Credit > 0 {
		credit := m.Credit
		m.Credit = 0
		l.shared.Budget.Give(credit)
	}
}

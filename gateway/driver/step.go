package driver

import (
	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// step gives a session an event and does what it wants.
func (l *Loop) step(c *Conn, ev session.Event) {
	a := c.session.Step(ev, &l.messages)
	switch ev.Kind {
	case session.BodyOverflowed, session.InputBehindData, session.InputAhead:
		c.sends = true // it reads no reply before it is done
	}
	if a.Reply != nil {
		l.replyTo(c, ev, a)
	}
	if a.Leniency != codec.LenientNone {
		l.shared.Observer.LenientPath(a.Leniency.String())
	}
	switch a.Do {
	case session.DoNothing:
	case session.DoCredit:
		l.askCredit(c)
		return
	case session.DoReceive:
		l.await(c, l.shared.Timeouts.DataStart)
		return
	case session.DoCommit:
		l.commit(c)
		return
	case session.DoRelease:
		if a.Message.Stage >= pipeline.StageReceiving {
			l.messageDone(c, a.Message, a.Reply)
		}
		l.letGo(a.Message)
	}
	l.awaitCommand(c)
	if c.session.Exhausted() {
		l.step(c, session.Event{Kind: session.Exhausted})
	}
	if c.session.Settled() {
		l.step(c, session.Event{Kind: session.Drained})
	}
}

// granted begins to receive a message.
func (l *Loop) granted(c *Conn, m *pipeline.Message) {
	m.Stage = pipeline.StageReceiving
	m.ID = pipeline.NewID(l.now, l.random)
	l.step(c, session.Event{Kind: session.CreditGranted})
}

// commit hands a complete message to the pipeline, once its parts are there.
func (l *Loop) commit(c *Conn) {
	m := c.session.Message()
	m.Header = pipeline.AppendTrace(m.Header[:0], m)
	m.Header = pipeline.AppendSeparator(m.Header, &m.Body)
	if m.Part != nil && m.Part.Body.Size() == 0 {
		l.dropPart(m) // the text ended where it began
	}
	l.sendPart(m)
	if m.PartsOut > 0 {
		m.Stage = pipeline.StageParts
		l.await(c, l.shared.Timeouts.Message)
		return
	}
	l.store(c, m)
}

// store begins the last step before the event.
func (l *Loop) store(c *Conn, m *pipeline.Message) {
	left := l.shared.Timeouts.Message - l.now.Sub(m.ReceivedAt)
	l.await(c, min(l.shared.Timeouts.Store, left))
	l.shared.Committer.Commit(m, l.now)
}

// arrived takes a message that came home by the door.
func (l *Loop) arrived(m *pipeline.Message) {
	defer l.survive("result")
	c, _ := m.Owner.(*Conn)
	if c == nil { // forsaken: no session is concerned
		m.Upload = nil // a Put has ended it, one way or the other
		l.shared.Committer.Advance(m, l.now)
		m.Stage = pipeline.StageDone
		l.letGo(m)
		return
	}
	l.guarded(c, "result", func() {
		l.result(c, m)
		l.pump(c)
		l.flush(c)
	})
}

// outcome answers the final dot and goes on with what has come behind it.
func (l *Loop) outcome(c *Conn) {
	l.step(c, session.Event{Kind: session.Outcome})
	l.pump(c)
	l.flush(c)
}

func (l *Loop) result(c *Conn, m *pipeline.Message) {
	l.freeBody(m) // whatever comes next needs the blob only
	m.Upload = nil
	if l.shared.Committer.Advance(m, l.now) {
		l.step(c, session.Event{Kind: session.Outcome})
		return
	}
	l.await(c, l.shared.Timeouts.Message-l.now.Sub(m.ReceivedAt))
}

// messageDone counts a message that had been granted its 354.
func (l *Loop) messageDone(c *Conn, m *pipeline.Message, answer *codec.Reply) {
	seconds := -1.0
	if !m.ReceivedAt.IsZero() {
		seconds = l.now.Sub(m.ReceivedAt).Seconds()
	}
	result := "client_gone"
	if answer != nil {
		result = answer.Cause
	}
	l.shared.Observer.MessageDone(result, m.Octets, seconds)
	if answer != codec.ReplyAccepted {
		return
	}
	l.accepted = Acceptance{
		Client: c.session.Client(), Helo: c.session.Helo(), MailFrom: m.Envelope.ReversePath(),
		Recipients: m.Envelope.Recipients(), Message: m, Octets: m.Octets, Seconds: seconds,
	}
	l.shared.MailLog.Accepted(&l.accepted)
}

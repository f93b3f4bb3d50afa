package driver

import (
	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// step steps a session by an event and carries out its actions, until no event follows
// from them.
func (l *Loop) step(c *Conn, ev session.Event) {
	for follows := true; follows; {
		ev, follows = l.stepOnce(c, ev)
	}
}

// stepOnce steps a session by one event and carries out its actions. It returns the
// event that follows at once, if there is one.
func (l *Loop) stepOnce(c *Conn, ev session.Event) (next session.Event, follows bool) {
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
		return session.Event{Kind: session.CreditGranted}, l.askCredit(c)
	case session.DoReceive:
		l.setDeadline(c, l.generation.Timeouts.DataStart)
		return session.Event{}, false
	case session.DoCommit:
		l.commit(c)
		return session.Event{}, false
	case session.DoAuthenticate:
		l.authenticate(c)
		return session.Event{}, false
	case session.DoSecure:
		l.beginTLS(c)
		return session.Event{}, false
	case session.DoReadmit:
		return session.Event{Kind: session.Opened, Settings: l.shared.newest(c.listener)}, l.readmit(c)
	case session.DoRelease:
		if a.Message.Stage >= pipeline.StageReceiving {
			l.messageDone(c, a.Message, a.Reply)
		}
		l.release(a.Message)
	}
	l.setCommandDeadline(c)
	switch {
	case c.session.Exhausted():
		return session.Event{Kind: session.Exhausted}, true
	case c.session.Settled():
		return session.Event{Kind: session.Drained}, true
	}
	return session.Event{}, false
}

// beginBody has a message receive its text, as its memory is there.
func (l *Loop) beginBody(m *pipeline.Message) {
	m.Stage = pipeline.StageReceiving
	m.ID = pipeline.NewID(l.now, l.random)
	l.mark(m)
}

// commit hands a complete message to the pipeline.
func (l *Loop) commit(c *Conn) {
	m := c.session.Message()
	if m.Parts.Current != nil && m.Parts.Current.Body.Size() == 0 {
		l.dropPart(m) // the text ended where it began
	}
	l.sendPart(m)
	l.endVerification(m)
	l.shared.Committer.Commit(m, l.now)
	l.setStageDeadline(c, m)
}

// advance takes the result of a stage, and goes on to the next one or answers the final
// dot.
func (l *Loop) advance(c *Conn, m *pipeline.Message) {
	if l.shared.Committer.Advance(m, l.now) {
		l.step(c, session.Event{Kind: session.Outcome})
		return
	}
	l.setStageDeadline(c, m)
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
	l.shared.Observer.MessageDone(result, m.Decoded, seconds)
	if answer != codec.ReplyAccepted {
		return
	}
	l.accepted = Acceptance{Session: c.session.ID(), Message: m, At: l.now, Took: l.now.Sub(m.ReceivedAt)}
	l.shared.MailLog.Accepted(&l.accepted)
}

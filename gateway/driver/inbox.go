package driver

import "sluice/pipeline"

// This file is the only way from other threads into a loop.

// Post implements pipeline.Poster. A task that comes while the loop is at work
// is seen before the loop rests; one that comes while it rests wakes it.
func (l *Loop) Post(p *pipeline.Task) {
	wasEmpty := l.inbox.Push(p)
	if wasEmpty && !l.awake.Load() {
		l.waker.Wake()
	}
}

// beginCallback begins a callback of the reactor.
func (l *Loop) beginCallback() {
	l.awake.Store(true)
	l.now = l.shared.Clock.Now()
}

// endCallback ends a callback. It runs the tasks of the inbox, results of work
// that this very callback began included. The loop says that it rests before it looks
// a last time, and Post adds before it asks whether the loop rests, so one of the two
// always sees the task.
func (l *Loop) endCallback() {
	for {
		for l.inbox.RunAll() > 0 {
		}
		l.awake.Store(false)
		if l.inbox.Empty() {
			return
		}
		l.awake.Store(true)
	}
}

// Run runs the tasks of the inbox. The reactor calls it after Waker.Wake.
func (l *Loop) Run() {
	defer l.recoverLoop("run")
	l.beginCallback()
	l.endCallback()
}

// takeResult is the frame of every result that returns by the inbox. A connection
// that still waits for the result has a turn, in which happened takes it. orphaned
// takes a result whose connection has ended.
func (l *Loop) takeResult(where string, owner any, happened func(c *Conn), orphaned func()) {
	if c, _ := owner.(*Conn); c != nil {
		l.turn(c, where, func() { happened(c) })
		return
	}
	defer l.recoverLoop(where)
	orphaned()
}

// onMessageResult takes a message that returns from the object store or the event
// log.
func (l *Loop) onMessageResult(m *pipeline.Message) {
	l.takeResult("result", m.Owner, func(c *Conn) {
		l.freeBody(m) // whatever comes next needs the blob only
		m.Parts.Upload = nil
		l.advance(c, m)
	}, func() {
		m.Parts.Upload = nil // a Put has ended it, one way or the other
		l.shared.Committer.Advance(m, l.now)
		m.Stage = pipeline.StageDone
		l.release(m)
	})
}

// onCredit takes a message's request for memory that returns from its queue.
func (l *Loop) onCredit(m *pipeline.Message) {
	l.takeResult("credit", m.Owner, func(c *Conn) {
		if credit := m.Memory.Request.End(); !m.Memory.Request.Dropped() {
			l.creditCame(c, m, credit)
		}
	}, func() {
		m.Memory.Request.End()
		l.release(m)
	})
}

// onPart takes a part of a message that returns from the object store.
func (l *Loop) onPart(p *pipeline.Part) {
	m := p.Message
	l.takeResult("result", m.Owner, func(c *Conn) {
		l.partEnded(p)
		if p.Err != nil {
			l.failed(c, m, p.Err)
		}
		l.resume(c, m)
	}, func() {
		l.partEnded(p)
		l.release(m)
	})
}

// onPiece takes a piece of a message that returns from the verifier.
func (l *Loop) onPiece(m *pipeline.Message, p *pipeline.Piece) {
	l.takeResult("result", m.Owner, func(c *Conn) {
		l.pieceEnded(m, p)
		l.pieceCame(c, m, p)
		l.resume(c, m)
	}, func() {
		l.pieceEnded(m, p)
		l.release(m)
	})
}

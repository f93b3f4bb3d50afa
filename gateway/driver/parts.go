package driver

import (
	"math"

	"sluice/pipeline"
)

// A message that outgrows one part of the object store leaves in parts while it
// still arrives. The first part stays until the end and goes last, with the trace
// fields on top (pipeline.PartStore).

// cutPart begins a part when the one before is full and there is memory for it,
// and gives the octets that still go into the one that is being filled.
func (l *Loop) cutPart(m *pipeline.Message) int64 {
	if l.shared.parts == nil {
		return math.MaxInt64
	}
	if l.partFull(m) {
		l.nextPart(m)
	}
	body, _ := m.Tail()
	return l.shared.parts.PartSize() + readAhead - body.Size()
}

// partFull says whether the part that is being filled may leave.
func (l *Loop) partFull(m *pipeline.Message) bool {
	if l.shared.parts == nil {
		return false
	}
	body, _ := m.Tail()
	return body.Size() >= l.shared.parts.PartSize()
}

// nextPart takes the memory of a part, or asks for it.
func (l *Loop) nextPart(m *pipeline.Message) {
	switch {
	case m.Ask.UnderWay():
	case l.shared.Parts.ClaimMore(l.shared.partCredit):
		l.beginPart(m)
	default:
		l.ask(m, l.shared.partCredits, l.shared.partCredit)
	}
}

// beginPart begins a part whose memory was taken.
func (l *Loop) beginPart(m *pipeline.Message) {
	l.sendPart(m)
	m.NextPart(l.partHome)
	m.Part.Credit = l.shared.partCredit
}

// sendPart hands the part that was being filled to the store. The first part
// stays.
func (l *Loop) sendPart(m *pipeline.Message) {
	p := m.Part
	if p == nil {
		return
	}
	m.Part = nil
	m.PartsOut++
	l.shared.parts.PutPart(p)
}

// dropPart frees the part that was being filled.
func (l *Loop) dropPart(m *pipeline.Message) {
	if p := m.Part; p != nil {
		m.Part = nil
		l.freePart(p)
	}
}

func (l *Loop) freePart(p *pipeline.Part) {
	p.Body.Release(l.slabs)
	if p.Credit > 0 {
		l.shared.Parts.Give(p.Credit)
		p.Credit = 0
	}
}

// abortUpload ends the upload of a message that will not be completed.
func (l *Loop) abortUpload(m *pipeline.Message) {
	if m.Upload != nil {
		l.shared.parts.Abort(m.Upload)
		m.Upload = nil
	}
}

// partHome takes a part that came home by the door.
func (l *Loop) partHome(p *pipeline.Part) {
	defer l.survive("result")
	m := p.Message
	l.freePart(p)
	m.PartsOut--
	if p.Err != nil && m.Err == nil && m.Stage == pipeline.StageReceiving {
		l.giveUp(m, p.Err)
		defer l.unstarve(m)
	} else if p.Err != nil && m.Err == nil {
		m.Err = p.Err
	}
	if m.PartsOut > 0 {
		return
	}
	switch {
	case m.Forsaken():
		m.Stage = pipeline.StageDone
		l.letGo(m)
	case m.Stage == pipeline.StageReceiving && m.Err != nil:
		l.abortUpload(m)
		l.freeBody(m)
	case m.Stage == pipeline.StageParts:
		l.partsDone(m)
	}
}

// unstarve reads on for a message that was given up while it waited for memory.
func (l *Loop) unstarve(m *pipeline.Message) {
	if c, _ := m.Owner.(*Conn); c != nil && (c.paused || c.ended) {
		l.guarded(c, "result", func() {
			l.awaitText(c, m)
			l.pump(c)
			l.flush(c)
		})
	}
}

// partsDone goes on with a complete message whose parts all have their result.
func (l *Loop) partsDone(m *pipeline.Message) {
	c := m.Owner.(*Conn)
	l.guarded(c, "result", func() {
		if m.Err == nil {
			l.store(c, m)
			return
		}
		m.Stage = pipeline.StageDone
		l.outcome(c)
	})
}

package driver

import (
	"math"

	"sluice/pipeline"
)

// A message that outgrows one part of the object store leaves in parts while it
// still arrives. The first part stays until the end and goes last, with the trace
// fields on top (pipeline.PartStore).

// partSlack is how much longer than the part size a part may be: a BodyDecoder
// cannot fill the last octets of a room, and a part must not be too short.
const partSlack = 16

// cutPart begins a part when the one before is full, and gives the octets that
// still go into the one that is being filled.
func (l *Loop) cutPart(m *pipeline.Message) int64 {
	parts := l.shared.parts
	if parts == nil {
		return math.MaxInt64
	}
	body, _ := m.Tail()
	if body.Size() >= parts.PartSize() {
		l.sendPart(m)
		m.NextPart(l.partHome)
		return parts.PartSize() + partSlack
	}
	return parts.PartSize() + partSlack - body.Size()
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
		l.shared.Budget.Give(p.Credit)
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

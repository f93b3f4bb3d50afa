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
	case m.Memory.Request.InFlight():
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
	m.Parts.Current.Credit = l.shared.partCredit
}

// sendPart hands the part that was being filled to the store. The first part
// stays.
func (l *Loop) sendPart(m *pipeline.Message) {
	p := m.Parts.Current
	if p == nil {
		return
	}
	m.Parts.Current = nil
	m.Parts.Out++
	l.shared.parts.PutPart(p)
}

// dropPart frees the part that was being filled.
func (l *Loop) dropPart(m *pipeline.Message) {
	if p := m.Parts.Current; p != nil {
		m.Parts.Current = nil
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
	if m.Parts.Upload != nil {
		l.shared.parts.Abort(m.Parts.Upload)
		m.Parts.Upload = nil
	}
}

// partEnded frees a part that has its result.
func (l *Loop) partEnded(p *pipeline.Part) {
	l.freePart(p)
	p.Message.Parts.Out--
}

// partCame goes on with a message that a part returned to, err being its result.
func (l *Loop) partCame(c *Conn, m *pipeline.Message, err error) {
	receiving := m.Stage == pipeline.StageReceiving
	switch {
	case err == nil || m.Result.Err != nil:
	case receiving:
		l.failBody(m, err)
		if c.paused || c.ended { // it may have waited for memory
			l.setTextDeadline(c, m)
		}
	default:
		m.Result.Err = err
	}
	if m.Parts.Out > 0 {
		return
	}
	switch {
	case receiving && m.Result.Err != nil:
		l.abortUpload(m)
		l.freeBody(m)
	case m.Stage == pipeline.StageParts:
		l.advance(c, m)
	}
}

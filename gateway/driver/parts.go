package driver

import (
	"math"

	"sluice/pipeline"
)

// A message that outgrows one part of the object store leaves in parts while it
// still arrives. The first part stays until the end and goes last, with the trace
// fields on top (pipeline.PartStore).

// cutPart begins a part when the current one is full and there is memory for another. It
// returns the number of bytes that still fit into the current part.
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

// partFull reports whether the current part may leave.
func (l *Loop) partFull(m *pipeline.Message) bool {
	if l.shared.parts == nil {
		return false
	}
	body, _ := m.Tail()
	return body.Size() >= l.shared.parts.PartSize()
}

// nextPart begins a part if there is memory for it, and requests the memory otherwise.
func (l *Loop) nextPart(m *pipeline.Message) {
	switch {
	case m.Memory.Request.InFlight():
	case l.shared.Parts.ClaimMore(pipeline.Want{Bytes: l.shared.partCredit}):
		l.beginPart(m)
	default:
		l.ask(m, l.shared.partCredits, pipeline.Want{Bytes: l.shared.partCredit})
	}
}

// beginPart begins a part whose memory was granted. The credit that a full first part does
// not need comes back.
func (l *Loop) beginPart(m *pipeline.Message) {
	if m.Parts.Current == nil {
		l.unbook(m, 0)
		l.giveSpare(m, m.Memory.Credit-m.Body.Held())
		l.verifyBody(m, true)
	}
	l.sendPart(m)
	m.NextPart(l.partSent)
	m.Parts.Current.Credit = l.shared.partCredit
}

// sendPart hands the current part to its readers: to the verifier, if there is one, and to
// the store once the header was read. The first part stays.
func (l *Loop) sendPart(m *pipeline.Message) {
	p := m.Parts.Current
	if p == nil {
		return
	}
	m.Parts.Current = nil
	m.Parts.Out++
	p.Readers = 1
	l.shared.partsOut.Add(p.Credit)
	if m.Verified() {
		p.Readers++
		l.verify(m.TakePart(p, l.pieceRead))
	}
	if m.HeaderUnread() {
		m.Parts.Held = append(m.Parts.Held, p)
		return
	}
	l.shared.parts.PutPart(p)
}

// sendHeld hands the parts to the store that were held until the header was read.
func (l *Loop) sendHeld(m *pipeline.Message) {
	held := m.Parts.Held
	m.Parts.Held = nil
	for _, p := range held {
		l.shared.parts.PutPart(p)
	}
}

// dropHeld has the store not read the parts that it did not get.
func (l *Loop) dropHeld(m *pipeline.Message) {
	held := m.Parts.Held
	m.Parts.Held = nil
	for _, p := range held {
		l.partEnded(p)
	}
}

// dropPart frees the current part, unless that is the first.
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

// partEnded takes the store's result of a part.
func (l *Loop) partEnded(p *pipeline.Part) {
	p.Message.Parts.Out--
	l.partRead(p)
}

// partRead frees a part that one of its readers is done with, if that was the last.
func (l *Loop) partRead(p *pipeline.Part) {
	if p.Readers--; p.Readers == 0 {
		l.shared.partsOut.Add(-p.Credit)
		l.freePart(p)
	}
}

// failed notes that a part or a piece of a message could not be stored or verified.
func (l *Loop) failed(c *Conn, m *pipeline.Message, err error) {
	switch {
	case m.Result.Err != nil:
	case m.Stage == pipeline.StageReceiving:
		l.failBody(m, err)
		if c.paused || c.ended { // it may have waited for memory
			l.setTextDeadline(c, m)
		}
	default:
		m.Result.Err = err
	}
}

// resume continues a message after a result of one of its parts or pieces.
func (l *Loop) resume(c *Conn, m *pipeline.Message) {
	if m.Parts.Out > 0 {
		return
	}
	switch {
	case m.Stage == pipeline.StageReceiving && m.Result.Err != nil:
		l.abortUpload(m)
		l.freeBody(m)
	case m.Stage == pipeline.StageParts, m.Stage == pipeline.StageVerifying && !m.Verified():
		l.advance(c, m)
	}
}

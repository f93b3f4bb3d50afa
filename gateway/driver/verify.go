package driver

import (
	"errors"

	"sluice/pipeline"
)

// A message is verified while it arrives, by pieces that the verifier reads
// (pipeline.Verifier). Until it has returned them they are not freed.

// What the events of messages say that are not verified. Nobody changes them.
var (
	skippedAuthenticated = &pipeline.Verdicts{Skipped: pipeline.SkippedAuthenticated}
	skippedTrusted       = &pipeline.Verdicts{Skipped: pipeline.SkippedTrusted}
)

// beginVerification tells the verifier of MAIL, unless its client is no stranger.
func (l *Loop) beginVerification(m *pipeline.Message) {
	switch client := &m.Client; {
	case client.Auth != nil:
		m.Verdicts = skippedAuthenticated
	case trusts(l.generation.Trusted, client.Address.Addr()):
		m.Verdicts = skippedTrusted
	default:
		m.Verify(l.shared.Verifier.Begin(m), l.pieceRead)
	}
}

// verify hands a piece of a message to the verifier.
func (l *Loop) verify(p *pipeline.Piece) {
	if p != nil {
		l.shared.Verifier.Read(p)
	}
}

// verifyBody hands the first part of a message, or all of a small one, to the verifier.
// follows says that there is more text.
func (l *Loop) verifyBody(m *pipeline.Message, follows bool) {
	if m.Verified() {
		l.verify(m.TakeHeader(follows))
		l.verify(m.TakeText())
	}
}

// endVerification tells the verifier of the final dot.
func (l *Loop) endVerification(m *pipeline.Message) {
	if m.Verified() {
		l.verifyBody(m, false)
		l.verify(m.TakeEnd())
	}
}

// dropVerification tells the verifier that nobody waits for its verdict, if it is at work.
func (l *Loop) dropVerification(m *pipeline.Message) {
	if !m.Verified() {
		return
	}
	state := m.Verification.State
	m.Verification.State = nil
	l.dropHeld(m)
	l.shared.Verifier.Drop(state)
}

// pieceEnded takes back a piece that the verifier has read.
func (l *Loop) pieceEnded(m *pipeline.Message, p *pipeline.Piece) {
	m.Verification.Returned(p)
	if p.Part != nil {
		l.partRead(p.Part)
	}
	if p.Kind == pipeline.PieceEnd && !m.Verified() {
		l.shared.Observer.LateResult(pipeline.StageVerifying.String(), pipeline.KindOf(p.Err).String())
	}
}

var errHeaderUnread = errors.New("the header was not read")

// pieceCame takes the result of a piece, if its message still waits for a verdict.
func (l *Loop) pieceCame(c *Conn, m *pipeline.Message, p *pipeline.Piece) {
	err := p.Err
	if p.Kind == pipeline.PieceEnd && m.HeaderUnread() {
		err = errHeaderUnread
	}
	switch {
	case !m.Verified():
	case err != nil:
		l.dropVerification(m)
		l.failed(c, m, &pipeline.Failure{Kind: pipeline.KindUnverified, Op: "verify", Err: err})
	case p.Kind == pipeline.PieceHeader:
		m.HeaderRead(p)
		l.sendHeld(m)
		if m.Stage > pipeline.StageReceiving {
			l.setStageDeadline(c, m)
		}
	case p.Kind == pipeline.PieceEnd:
		m.Judge(p.Verdict)
	}
}

// verdictOverdue goes on with a message whose deadline has come while it waits for its
// verdict, and reports whether it did. A header that was not read may have a forged verdict
// in it, and is not stored.
func (l *Loop) verdictOverdue(c *Conn) bool {
	m := c.session.Message()
	if m == nil || m.Stage != pipeline.StageVerifying || m.HeaderUnread() ||
		l.now.Sub(m.ReceivedAt) >= l.generation.Timeouts.Message {
		return false
	}
	l.dropVerification(m)
	m.Judge(l.shared.Verifier.Overdue())
	l.advance(c, m)
	return true
}

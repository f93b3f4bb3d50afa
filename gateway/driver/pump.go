package driver

import (
	"sluice/codec"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// outHigh is how many bytes of replies are gathered before they are sent.
const outHigh = 16 << 10

// minRoom is the room in a slab below which a new one is taken: less than this
// a BodyDecoder may not be able to use.
const minRoom = 4

// errSmuggling is the failure of a message with a bare CR, a bare LF or a NUL. It
// outweighs any other, so that the answer does not depend on what was seen first.
var errSmuggling = &pipeline.Failure{Kind: pipeline.KindSmuggling, Op: "receive"}

// pump feeds a connection's input to its session until there is none, or until the
// session waits for something else. It reports whether it stopped because many
// replies were gathered, so that it goes on once these are sent.
func (l *Loop) pump(c *Conn) (more bool) {
	if c.finished {
		return false
	}
	switch {
	case c.lingering:
		l.drop(c)
		return false
	case c.tls.established():
		more = l.pumpRecords(c)
	case !c.tls.handshaking():
		more = l.pumpText(c)
	}
	switch {
	case c.finished || more:
	case c.session.Phase() == session.PhaseClosed: // the last word is still unsent
		c.dropInput()
	case c.tls.handshaking():
		l.shakeHands(c)
	}
	return more
}

// pumpText is pump for input that is text.
func (l *Loop) pumpText(c *Conn) (more bool) {
	in := c.input()
	if len(in) == 0 || c.waiting() {
		return false
	}
	n := l.consume(c, in)
	if c.finished {
		return false
	}
	c.discard(n)
	return len(l.out) >= outHigh && n < len(in)
}

// consume feeds what it can of in, until many replies are gathered, and returns the
// number of bytes used.
func (l *Loop) consume(c *Conn, in []byte) (used int) {
	for used < len(in) && len(l.out) < outHigh && !c.finished && !c.waiting() && !c.tls.handshaking() {
		var n int
		switch phase := c.session.Phase(); {
		case c.unnamed:
			n = l.proxyHeader(c, in[used:])
		case phase == session.PhaseCommand:
			n = l.command(c, in[used:])
		case phase == session.PhaseResponse:
			n = l.response(c, in[used:])
		case phase == session.PhaseBody:
			n = l.receive(c, in[used:])
		case phase == session.PhaseClosed:
			return len(in) // the last word was said: what follows is not read
		}
		if n == 0 {
			return used
		}
		used += n
	}
	return used
}

// command feeds one command line.
func (l *Loop) command(c *Conn, in []byte) int {
	c.decoder.OfferAuth(c.session.OffersAuth())
	cmd, n, ok := c.decoder.Next(in)
	if !ok {
		clear(in[:n]) // of a line that is too long, which may be one of AUTH
		return n
	}
	more := n < len(in) || c.tls.established() && len(c.input()) > 0
	ev := session.Event{Kind: session.Commanded, Command: cmd}
	m := c.session.Message()
	switch {
	case cmd.Verb == codec.VerbEHLO || cmd.Verb == codec.VerbHELO:
		ev.Settings = l.shared.newest(c.listener)
	case cmd.Verb == codec.VerbMAIL:
		ev.Shed = l.shed(c)
	case cmd.Verb == codec.VerbDATA && m != nil && m.Envelope.Recipients() > 0:
		ev.Shed = l.admit(c)
	case cmd.Verb == codec.VerbSTARTTLS:
		ev.Ahead, ev.Busy = more, l.shared.Security == nil || !l.shared.Security.Room(c.session.Client().Addr())
	case cmd.Verb == codec.VerbRCPT && m != nil:
		ev.NoMemory = !l.envelopeRoom(m, cmd.Arg)
		ev.EventLimit = l.shared.Committer.EventLimit()
	}
	l.step(c, ev)
	if begun := c.session.Message(); begun != nil && m == nil && l.shared.Verifier != nil {
		l.beginVerification(begun)
	}
	if cmd.Verb == codec.VerbAUTH {
		clear(in[:n]) // no secret stays in a buffer
	}
	if more && cmd.Verb == codec.VerbDATA && c.session.Phase() == session.PhaseCommand {
		l.step(c, session.Event{Kind: session.InputBehindData})
	}
	return n
}

// receive feeds mail text. What cannot be kept is decoded all the same, so that
// the end is found, and dropped.
func (l *Loop) receive(c *Conn, in []byte) (used int) {
	m := c.session.Message()
	limit := c.session.Settings().Limits.MessageSize
	for used < len(in) {
		room := l.room(m)
		if room == nil {
			if l.giveUpOutgrown(m) {
				continue
			}
			break // it waits for memory
		}
		nd, ns, ended := m.Decoder.Decode(room, in[used:])
		used += ns
		m.Decoded += int64(nd)
		switch {
		case m.Decoder.Ambiguous() && !c.session.Tolerates():
			l.failBody(m, errSmuggling)
		case m.Result.Err == nil:
			body, _ := m.Tail()
			body.Wrote(nd)
			switch {
			case m.Decoded > limit:
				l.failBody(m, &pipeline.Failure{Kind: pipeline.KindTooLarge, Op: "receive"})
			case m.Verification.Scan(room[:nd]):
				l.verify(m.TakeHeader(false))
			}
		}
		if ended {
			l.bodyEnded(c, m)
			return used
		}
		if m.Decoded > 2*limit {
			l.step(c, session.Event{Kind: session.BodyOverflowed})
			return len(in)
		}
	}
	l.reserveAhead(m)
	l.giveUpOutgrown(m)
	l.setTextDeadline(c, m)
	return used
}

// room returns the buffer where the next mail text goes, nil when the message must
// wait for memory.
func (l *Loop) room(m *pipeline.Message) []byte {
	if m.Result.Err != nil {
		return l.scratch
	}
	most := l.cutPart(m)
	body, credit := m.Tail()
	if most < minRoom {
		return nil
	}
	if len(body.Room()) < minRoom {
		if body.Held()+body.Need() > *credit && !l.extend(m) {
			return nil
		}
		body.Grow(l.slabs)
	}
	room := body.Room()
	return room[:min(int64(len(room)), most)]
}

// giveUpOutgrown reports whether it gave up m, which waits for memory although it is longer
// than the SIZE that its sender has declared. It holds little for a place in the queue, and
// what comes meanwhile would stay with the kernel.
func (l *Loop) giveUpOutgrown(m *pipeline.Message) bool {
	declared := m.Envelope.SizeDeclared
	if declared <= 0 || m.Decoded <= declared || !m.Memory.Request.InFlight() || m.Result.Err != nil {
		return false
	}
	l.creditWaited(m, "refused")
	l.failBody(m, errNoMemory)
	return true
}

// failBody ends the keeping of a message whose text still arrives: what it holds is
// freed, as soon as nobody reads it any more, and the rest is dropped.
func (l *Loop) failBody(m *pipeline.Message, err error) {
	m.Result.Err = err
	m.Memory.Request.Drop()
	l.dropPart(m)
	l.dropVerification(m)
	if m.Parts.Out == 0 {
		l.abortUpload(m)
		l.freeBody(m)
	}
}

// bodyEnded takes the final dot: credit that the body did not need goes back,
// and the session decides.
func (l *Loop) bodyEnded(c *Conn, m *pipeline.Message) {
	m.ReceivedAt = l.now
	m.Report = m.Decoder.Report()
	m.Memory.Request.Drop()
	l.unbook(m, 0)
	l.giveSpare(m, m.Memory.Credit-m.Body.Held())
	if p := m.Parts.Current; p != nil {
		spare := p.Credit - p.Body.Held()
		p.Credit -= spare
		l.shared.Parts.Give(spare)
	}
	if m.Result.Err == nil && !l.mayStore(c) {
		l.failBody(m, errLogAway)
	}
	l.step(c, session.Event{Kind: session.BodyEnded, EventLimit: l.shared.Committer.EventLimit()})
}

package sim

import (
	"bytes"
	"errors"
	"io"
	"net/netip"

	"sluice/gateway/driver"
	"sluice/gateway/session"
	"sluice/internal/toytls"
	"sluice/pipeline"
)

// secureWorlds marks the seeds of worlds in which clients speak TLS, from the first byte
// on or after STARTTLS. Its record layer is a toy.
const secureWorlds = 1 << 60

// pauseText is the most text in a command that is not whole.
const pauseText = 12 << 10

// security implements driver.Security.
type security struct {
	p     *process
	begun int                        // handshakes that are not done
	away  map[*driver.Handshake]bool // those that are not at home; true for one that was dropped
}

// places returns the number of handshakes that are not done.
func (s *security) places() int {
	if s == nil {
		return 0
	}
	return s.begun
}

// Room implements driver.Security.
func (s *security) Room(netip.Addr) bool {
	return !s.p.w.fault("no room for a handshake", s.p.w.plan.noPause)
}

// Surplus implements driver.Security.
func (s *security) Surplus() (surplus, begun int) {
	if s.p.w.fault("too many handshakes", s.p.w.plan.noPause) {
		return s.begun, s.begun
	}
	return 0, s.begun
}

// Begin implements driver.Security.
func (s *security) Begin(h *driver.Handshake) bool {
	if !s.Room(h.Client) {
		return false
	}
	s.begun++
	h.Private = &toytls.Server{}
	s.Continue(h)
	return true
}

// Continue implements driver.Security.
func (s *security) Continue(h *driver.Handshake) {
	w := s.p.w
	s.away[h] = false
	w.begin(w.pace(w.plan.storeLate, w.storeOut), nil, func() {
		switch dropped := s.away[h]; {
		case dropped:
			w.tally["handshakes dropped"]++
		case !h.Gone && !h.Waited():
			w.fail("a handshake computes for nobody")
		}
		delete(s.away, h)
		if h.Gone {
			h.Done, h.Cause = true, driver.TLSGone
		} else {
			out, layer, err := h.Private.(*toytls.Server).Take(h.In)
			h.Out = out
			switch {
			case err != nil:
				h.Done, h.Cause, h.Err = true, driver.TLSProtocol, err
			case layer != nil:
				h.Done, h.Records, h.About = true, layer, toyTLS()
			}
		}
		if h.Done {
			s.begun--
		}
		h.Home.Post(&h.Task)
	})
}

// Drop implements driver.Security.
func (s *security) Drop(h *driver.Handshake) {
	if _, away := s.away[h]; away { // else it is on its way home
		s.away[h] = true
	}
}

// toyTLS is what is agreed in each handshake.
func toyTLS() *pipeline.TLS {
	return &pipeline.TLS{Version: "TLSv1.3", Cipher: "TOY", Group: "toy"}
}

// secure makes settings those of a world with TLS.
func (p *plan) secureSettings(s *session.Settings) *session.Settings {
	if p.secure && !p.implicit {
		s.SetTLS(session.TLSPolicy{Offered: true, Required: !p.auth})
	}
	return s
}

// tap is the client's end of TLS on a socket, for a sender that knows of text only. In
// front of STARTTLS it speaks for the sender.
type tap struct {
	s        *socket
	toy      *toytls.Client // nil before TLS
	wire     []byte         // sealed, and not taken by the kernel
	line     []byte         // heard before TLS
	greeting string         // before TLS
	asked    int            // of EHLO and STARTTLS
	through  bool           // it was refused: what comes is for the sender
	over     bool           // nothing is sent any more behind wire
	answered bool           // the gateway has said something behind the handshake
	proven   bool           // it has authenticated in plain text
}

func newTap(s *socket) *tap {
	t := &tap{s: s, wire: []byte(s.p.w.header(s.client))}
	if s.p.w.plan.implicit {
		t.hello()
	}
	s.p.w.after(tickLength/20, s.sender.wake)
	return t
}

// hello begins TLS.
func (t *tap) hello() {
	toy, hello := toytls.NewClient(byte(t.s.p.w.random.Uint32()))
	t.toy, t.wire = toy, append(t.wire, hello...)
	t.push()
}

// send takes text of the sender, once the handshake is done, and returns how much.
func (t *tap) send(text []byte) int {
	w := t.s.p.w
	if t.push(); t.toy == nil || t.toy.Layer == nil || len(t.wire) > 0 || len(text) == 0 {
		return 0
	}
	n := 1 + w.random.IntN(len(text))
	if w.chance(20) {
		t.wire = t.toy.Update(t.wire)
	}
	t.wire = t.toy.Seal(t.wire, text[:n])
	if w.fault("broken record", w.plan.broken) {
		t.wire[w.random.IntN(len(t.wire))] ^= 1 << w.random.IntN(8)
		t.s.faulty = true
	}
	t.push()
	return n
}

// finish ends what is sent.
func (t *tap) finish() {
	if t.toy != nil && t.toy.Layer != nil && t.s.p.w.chance(700) {
		t.wire = t.toy.Close(t.wire)
	}
	t.over = true
	t.push()
}

// push gives the kernel what it takes.
func (t *tap) push() {
	if t.s.fin {
		return
	}
	t.wire = t.wire[t.s.sendWire(t.wire):]
	switch {
	case len(t.wire) > 0:
		t.s.p.w.after(tickLength/20, t.s.sender.wake)
	case t.over:
		t.s.finishWire()
	}
}

// hear returns the text of what has come.
func (t *tap) hear(wire []byte) []byte {
	defer t.push()
	if t.through {
		return wire
	}
	if t.toy == nil {
		if wire = t.ask(wire); t.toy == nil {
			return wire
		}
	}
	before := t.toy.Layer == nil
	text, out, err := t.toy.Take(wire)
	t.answered = t.answered || len(text) > 0
	t.wire = append(t.wire, out...)
	if before && t.toy.Layer != nil {
		text = append([]byte(t.greeting), text...)
		t.s.sender.wake()
	}
	switch {
	case err == nil || t.s.faulty:
	case errors.Is(err, io.EOF):
		t.s.p.w.tally["close_notify"]++
	default:
		t.s.p.w.fail("sender %d: %v", t.s.sender.n, err)
	}
	return text
}

// ask goes on towards TLS, and returns what the sender is to hear of it.
func (t *tap) ask(wire []byte) (heard []byte) {
	t.line = append(t.line, wire...)
	for {
		end := bytes.Index(t.line, []byte("\r\n"))
		if end < 0 {
			return nil
		}
		line := t.line[:end+2]
		t.line = t.line[end+2:]
		switch {
		case line[3] == '-':
			continue
		case line[0] != '2':
			t.through = true
			return append(line, t.line...)
		}
		if t.asked == 1 && t.authenticates() {
			continue
		}
		switch t.asked++; t.asked {
		case 1:
			t.greeting = string(line)
			t.wire = append(t.wire, "EHLO tap.example.com\r\n"...)
		case 2:
			t.wire = append(t.wire, "STARTTLS\r\n"...)
		case 3:
			t.hello()
			return nil
		}
	}
}

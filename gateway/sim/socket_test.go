package sim

import (
	"bytes"
	"errors"
	"net/netip"
	"time"

	"sluice/gateway/driver"
)

const (
	windowSize = 48 << 10 // what the kernel takes of a client before it must wait
	bufferSize = 4 << 10  // what it takes of replies
	readSize   = 32 << 10 // what the reactor reads at a time
)

// socket is one connection: the reactor's end, the kernel between, and the client's.
type socket struct {
	p      *process
	loop   *loop
	sender *sender
	client netip.AddrPort
	conn   driver.Conn

	in      []byte     // read and not discarded
	taken   int        // bytes discarded
	calling *callToken // of the call in flight, nil for none
	kernel  []byte     // come and not read
	out     []byte     // replies that the client has not read
	opened  bool       // its loop has it; nothing is reported of it before
	reading bool       // a read is on the agenda
	half    bool       // no more replies
	closed  bool       // by us
	gone    bool       // by the client, which has reset
	fin     bool       // the client sends nothing more, and reads
	ended   bool       // the session knows that, and is not read any more
	faulty  bool       // something befell it for which its client may lose replies
	dead    bool       // the connection broke; the client has been told or will see
	paused  bool
	back    bool // resumed and not back yet
	tap     *tap // the client's end of TLS, nil for plain text
}

var errGone = errors.New("reset")

// connect opens a connection of a sender.
func (p *process) connect(sender *sender) *socket {
	w := p.w
	s := &socket{p: p, loop: p.loops[w.random.IntN(len(p.loops))], sender: sender}
	port := uint16(1024 + len(p.sockets)%60000)
	s.client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(sender.n)}), port)
	p.sockets = append(p.sockets, s)
	if w.plan.secure {
		s.tap = newTap(s)
	}
	w.after(w.within(2*time.Millisecond), func() {
		s.loop.call(func() {
			s.loop.open++
			s.opened = true
			s.loop.loop.Open(&s.conn, s, w.peer(s.client), p.listener)
			s.call()
			s.poll()
		})
	})
	return s
}

// Input implements driver.Socket.
func (s *socket) Input() []byte { return s.in }

// Discard implements driver.Socket.
func (s *socket) Discard(n int) {
	if n <= 0 || n > len(s.in) {
		s.p.w.fail("Discard(%d) of %d", n, len(s.in))
		return
	}
	s.p.users.forgot(s.in[:n])
	s.in = s.in[n:]
	s.taken += n
}

// Write implements driver.Socket.
func (s *socket) Write(b []byte) (int, error) {
	if s.closed || s.half {
		s.p.w.fail("a write behind the end")
		return 0, errGone
	}
	if s.gone {
		return 0, errGone
	}
	if s.ended && bytes.Contains(b, []byte("421 4.4.2")) {
		s.p.w.fail("input was waited for behind its end")
	}
	n := min(len(b), bufferSize-len(s.out))
	s.out = append(s.out, b[:n]...)
	s.sender.wake()
	return n, nil
}

// CloseWrite implements driver.Socket.
func (s *socket) CloseWrite() {
	s.half = true
	s.sender.wake()
}

// DropUnsent implements driver.Socket.
func (s *socket) DropUnsent() {}

// Close implements driver.Socket.
func (s *socket) Close() {
	if s.closed {
		s.p.w.fail("closed twice")
	}
	s.closed = true
	s.loop.open--
	if len(s.kernel) > 0 && s.p.w.chance(500) {
		s.out, s.faulty = nil, true // a close with unread input resets, and may overtake the reply
	}
	s.sender.wake()
}

// Pause implements driver.Socket.
func (s *socket) Pause() error {
	w := s.p.w
	if s.paused || s.closed || s.ended {
		w.fail("paused twice, or behind the end")
	}
	if w.fault("no descriptor", w.plan.noPause) {
		s.faulty = true
		return errFault
	}
	w.tally["pauses"]++
	w.note("pause", s.sender.n, len(s.in))
	s.paused, s.back = true, false
	return nil
}

// Resume implements driver.Socket.
func (s *socket) Resume() error {
	w := s.p.w
	if !s.paused || s.closed || s.ended {
		w.fail("resumed twice, or behind the end")
	}
	w.note("resume", s.sender.n, len(s.in))
	s.paused = false
	if s.gone && w.chance(700) || w.fault("no way back", w.plan.noPause) {
		s.faulty = true
		return errGone
	}
	s.back = true
	lost := w.fault("lost on the way back", w.plan.noPause)
	w.after(w.within(3*time.Millisecond), func() {
		if s.closed || s.paused || !s.back {
			return
		}
		s.loop.call(func() {
			if s.closed || s.paused || !s.back {
				return
			}
			s.back = false
			if lost {
				s.faulty = true
				s.loop.loop.Closed(&s.conn, driver.EndReset)
				return
			}
			s.loop.loop.Traffic(&s.conn)
			s.poll()
		})
	})
	return nil
}

// poll puts a read on the agenda when there is something to read, as a
// level-triggered epoll does.
func (s *socket) poll() {
	if !s.opened || s.reading || s.closed || s.paused || s.back || s.ended || len(s.kernel) == 0 && !s.gone && !s.fin {
		return
	}
	s.reading = true
	w := s.p.w
	w.after(w.within(time.Millisecond), func() {
		s.loop.call(func() {
			s.reading = false
			if s.closed || s.paused || s.back || s.ended {
				return
			}
			s.read()
			s.poll()
		})
	})
}

// read gives the session some of what has come, or the end.
func (s *socket) read() {
	w := s.p.w
	if len(s.kernel) == 0 || s.gone && w.chance(300) {
		switch {
		case s.gone:
			s.loop.loop.Closed(&s.conn, driver.EndReset)
		case s.fin:
			s.end()
		}
		return
	}
	n := min(len(s.kernel), readSize)
	if w.chance(300) {
		n = 1 + w.random.IntN(n)
	}
	s.in = append(s.in[:len(s.in):len(s.in)], s.kernel[:n]...)
	s.kernel = s.kernel[n:]
	s.call()
	if !s.closed && !s.paused && !s.back {
		s.loop.loop.Traffic(&s.conn)
	}
}

// end tells the session of the end of its client's input: a session that owes a reply
// lives on in a duplicate, if there is a descriptor for it.
func (s *socket) end() {
	w := s.p.w
	if s.loop.loop.Owes(&s.conn) {
		if !w.fault("no descriptor to keep", w.plan.noPause) {
			w.tally["sessions kept behind the end of input"]++
			s.ended = true
			s.loop.loop.InputEnded(&s.conn)
			return
		}
		s.faulty = true
	}
	s.loop.loop.Closed(&s.conn, driver.EndReset)
}

// finish is the client's half-close: it sends nothing more.
func (s *socket) finish() {
	if s.tap != nil {
		s.tap.finish()
		return
	}
	s.finishWire()
}

func (s *socket) finishWire() {
	s.fin = true
	s.poll()
}

// hear returns what has come for the client.
func (s *socket) hear() []byte {
	out := s.out
	s.out = nil
	if s.tap != nil {
		return s.tap.hear(out)
	}
	return out
}

// send takes text of a client, and returns how much.
func (s *socket) send(b []byte) int {
	if s.tap != nil {
		return s.tap.send(b)
	}
	return s.sendWire(b)
}

// sendWire takes what the window allows of a client's bytes.
func (s *socket) sendWire(b []byte) int {
	if s.fin {
		s.p.w.fail("a client sent behind its end")
	}
	n := min(len(b), windowSize-len(s.kernel))
	s.kernel = append(s.kernel[:len(s.kernel):len(s.kernel)], b[:n]...)
	s.poll()
	return n
}

// reset is the client's reset of the connection.
func (s *socket) reset() {
	s.gone = true
	s.poll()
}

// vanish tells the client that the process was killed.
func (s *socket) vanish() {
	s.dead = true
	s.sender.wake()
}

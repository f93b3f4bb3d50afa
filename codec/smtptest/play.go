package smtptest

import (
	"errors"
	"fmt"
	"io"
)

// Peer is the connection to the server under test. It belongs to one Play at a time and
// need not be safe for concurrent use.
type Peer interface {
	// Send passes octets to the server. It does not retain p. Octets for a server that
	// has already closed are dropped without an error: the finding is then what the
	// server sent before.
	Send(p []byte) error
	// ReadLine returns the next line from the server, without its CRLF. Otherwise it
	// returns ErrNoReply when no line will come (in memory: there is none; over a socket:
	// none within the peer's timeout), or io.EOF when the server has closed.
	ReadLine() (string, error)
	// Pending returns a line that has arrived and was not read, without waiting for one.
	// ok is false when there is none.
	Pending() (line string, ok bool)
	// Closed waits until the server has closed. It is an error if the server sends
	// anything before, or stays open.
	Closed() error
	// Do executes a directive ("@ name args"). An unknown directive is an error.
	Do(directive, args string) error
}

// Ender is a Peer that learns of a surplus reply only by ending the connection. Play
// calls End after the last line of a dialog that does not end in CLOSE. line and ok are
// those of Peer.Pending.
type Ender interface {
	End() (line string, ok bool, err error)
}

// ErrNoReply is returned by Peer.ReadLine when no reply comes.
var ErrNoReply = errors.New("no reply")

// Play plays the dialog s against peer. The error names the file and line of the
// transcript and the difference there. That is a wrong, missing or surplus reply line, or
// a connection that was unexpectedly closed or left open.
func Play(s *Script, peer Peer, split Split) error {
	p := player{script: s, peer: peer, cutter: split.cutter()}
	for i := range s.steps {
		p.step = &s.steps[i]
		if err := p.play(); err != nil {
			return p.failf(p.step.line, "%w", err)
		}
	}
	if err := p.end(); err != nil {
		return p.failf(p.step.line, "at the end: %w", err)
	}
	return nil
}

type player struct {
	script *Script
	peer   Peer
	cutter cutter
	step   *step
	batch  []byte // C lines that were not sent yet
}

func (p *player) failf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: "+format, append([]any{p.script.Name, line}, args...)...)
}

func (p *player) play() error {
	if p.step.kind == stepSend {
		if len(p.batch) == 0 {
			if err := p.noSurplus(); err != nil {
				return err
			}
		}
		for range p.step.repeats {
			p.batch = append(p.batch, p.step.octets...)
		}
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	switch p.step.kind {
	case stepReply:
		return p.expect()
	case stepClose:
		return p.peer.Closed()
	case stepDirective:
		if err := p.noSurplus(); err != nil {
			return err
		}
		if err := p.peer.Do(p.step.name, p.step.args); err != nil {
			return fmt.Errorf("@ %s %s: %w", p.step.name, p.step.args, err)
		}
	case stepSend, stepFlush:
	}
	return nil
}

// flush sends the batch.
func (p *player) flush() error {
	for _, piece := range p.cutter.pieces(p.batch) {
		if err := p.peer.Send(piece); err != nil {
			return fmt.Errorf("sending %q: %w", piece, err)
		}
	}
	p.batch = p.batch[:0]
	return nil
}

func (p *player) expect() error {
	for i := range p.step.repeats {
		line, err := p.peer.ReadLine()
		switch {
		case errors.Is(err, ErrNoReply):
			return fmt.Errorf("reply %d of %d is missing, want %q", i+1, p.step.repeats, p.step.want.text)
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the server closed, want %q", p.step.want.text)
		case err != nil:
			return fmt.Errorf("want %q: %w", p.step.want.text, err)
		case !p.step.want.match(line):
			return fmt.Errorf("got %q, want %q", line, p.step.want.text)
		}
	}
	return nil
}

func (p *player) noSurplus() error {
	if line, ok := p.peer.Pending(); ok {
		return surplusError(line)
	}
	return nil
}

func (p *player) end() error {
	if err := p.flush(); err != nil {
		return err
	}
	if err := p.noSurplus(); err != nil {
		return err
	}
	ender, ok := p.peer.(Ender)
	if !ok || p.step.kind == stepClose {
		return nil
	}
	line, ok, err := ender.End()
	if ok {
		return surplusError(line)
	}
	return err
}

func surplusError(line string) error {
	return fmt.Errorf("surplus reply %q", line)
}

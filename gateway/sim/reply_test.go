package sim

import (
	"bytes"
	"strings"
)

// listen reads replies. Each must be the one that is due.
func (s *sender) listen() {
	c := s.socket
	s.heard = append(s.heard, c.hear()...)
	for s.socket == c {
		end := bytes.Index(s.heard, []byte("\r\n"))
		if end < 0 {
			break
		}
		line := string(s.heard[:end+2])
		s.heard = s.heard[end+2:]
		s.since = s.w.now
		switch {
		case line[3] == ' ':
			s.reply(line)
		case strings.HasPrefix(line, "250-mx"):
			s.host = strings.TrimSpace(line[4:])
		}
	}
	if s.socket == c && (c.half || c.closed || c.dead) {
		if s.over && !c.dead && !c.faulty {
			s.answered()
		}
		s.hangUp("closed")
	}
}

// answered asserts that a client which half-closed had the reply to each command
// that it had sent whole.
func (s *sender) answered() {
	if tap := s.socket.tap; tap != nil && !tap.answered {
		return // the handshake may have taken too long
	}
	if len(s.expected) > 0 && s.expected[0].end > 0 && s.expected[0].end <= s.sent {
		s.w.fail("sender %d half-closed and never had its reply to %s", s.n, s.expected[0].to)
	}
}

func (s *sender) reply(line string) {
	w := s.w
	w.trace.add(note{at: w.now, what: "reply", who: s.n, n: len(s.expected), text: line[:len(line)-2]})
	if strings.HasPrefix(line, "421 4.4.2") {
		s.settled("was told that it was too slow")
	}
	if strings.HasPrefix(line, "421 ") {
		s.proof.interrupted(s, line)
		s.hangUp("told to go")
		return
	}
	if len(s.expected) == 0 {
		w.fail("sender %d got %q and had asked nothing", s.n, line)
		return
	}
	due := s.expected[0]
	s.expected = s.expected[1:]
	temporary := line[0] == '4' || s.socket.p.verifier.refused(line, due)
	s.counted(line, due)
	switch {
	case due.try != nil:
		s.judged(line, due.try)
	case due.to == "final dot" && due.letter.odd && strings.HasPrefix(line, due.want):
		w.tally["texts refused"]++
		s.letters = s.letters[1:]
		s.expected, s.unsent = s.expected[:0], nil // nothing behind it is executed
	case !strings.HasPrefix(line, due.want) && !temporary:
		w.fail("sender %d got %q to %s, due was %q", s.n, line, due.to, due.want)
	case due.then != nil && !temporary:
		due.then()
	case due.to == "greeting":
		s.hello()
	case due.want == "221 2.0.0":
		s.hangUp("quit")
	case due.want == "354 " && !temporary:
		if len(s.expected) == 0 { // else it did not wait for this
			s.text(due.letter)
		}
	case due.to == "final dot" && !temporary:
		s.done(due.letter, strings.TrimSuffix(strings.TrimPrefix(line, due.want), "\r\n"))
	case temporary && due.letter == nil && due.to != "":
		s.hangUp("refused in the envelope")
	case temporary && due.want == "354 ":
		s.hangUp("refused")
	}
}

// counted asserts that the refusals of a session come to an end.
func (s *sender) counted(line string, due expectation) {
	switch {
	case due.to == "final dot" && line[0] == '2':
		s.refused = 0
	case strings.HasPrefix(line, "50"): // an error of the client has a limit of its own
	case line[0] >= '4' && (due.to == "final dot" || line[0] == '5'):
		if s.refused++; s.refused > refusals {
			s.w.fail("sender %d got its refusal %d in a session", s.n, s.refused)
		}
	}
}

// done strikes a letter off the list.
func (s *sender) done(l *letter, id string) {
	d := delivery{id: id, sender: s, client: s.socket.client, host: s.host, letter: l, proof: s.proof}
	if err := s.w.durable(id, &d); err != nil {
		s.w.fail("sender %d was told 250: %v", s.n, err)
	}
	s.w.tally["messages delivered"]++
	s.delivered = append(s.delivered, d)
	s.letters = s.letters[1:]
}

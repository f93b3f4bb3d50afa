package sim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// proof is who a sender has proven to be on a connection.
type proof struct {
	auth  *pipeline.Auth
	named bool // it has named itself by XCLIENT
	mail  bool // it has said MAIL
}

// describe adds what the event says of it.
func (p *proof) describe(c *pipeline.Client) {
	c.Role, c.Auth = pipeline.RoleSubmission, p.auth
	c.Protocol += "A"
	if p.named {
		c.Proxy = &pipeline.Proxy{Address: c.Address.Addr()}
	}
}

// interrupted asserts that a session does not end for its time, or that of the process,
// while an attempt of it is judged or its answer is held.
func (p *proof) interrupted(s *sender, line string) {
	if len(s.expected) == 0 || s.expected[0].try == nil || !s.expected[0].try.begun {
		return
	}
	if strings.HasPrefix(line, "421 4.4.2") || strings.HasPrefix(line, "421 4.3.2") {
		s.w.fail("sender %d got %q to an attempt", s.n, line)
	}
}

// newTry returns the next attempt of a sender on a connection.
func (w *world) newTry(s *sender, on *socket, mechanism string, right bool) *try {
	t := &try{n: len(w.tries), sender: s, socket: on, mechanism: mechanism, right: right}
	t.secret = fmt.Sprintf("%s-%d", canary, t.n)
	w.tries[t.secret] = t
	return t
}

// proven reports whether a sender may send, and has it get on towards that if not. Now and
// then it asks for what it may not have, and forgets that it could.
func (s *sender) proven() bool {
	w := s.w
	switch {
	case s.proof.auth == nil:
		if w.chance(250) {
			s.proof.mail = true
			s.say("MAIL FROM:<"+s.letters[0].from+">\r\n", "530 5.7.0", nil)
		}
		s.authenticate()
		return false
	case !s.proof.mail && !s.proof.named && !w.plan.front && w.chance(150):
		w.tally["auth before XCLIENT"]++
		s.say(fmt.Sprintf("XCLIENT ADDR=%s PORT=%d\r\n", s.socket.client.Addr(), s.socket.client.Port()), "220 ", nil)
		s.next(func() {
			s.proof, s.refused = proof{named: true}, 0
			s.hello()
		})
		return false
	case w.chance(60):
		s.say("AUTH PLAIN\r\n", "503 5.5.1", nil)
	case w.chance(60):
		s.say("RSET\r\n", "250 2.0.0", nil)
		s.hello()
	case w.chance(60):
		s.say("MAIL FROM:<from-999-0@example.com>\r\n", "553 5.7.1", nil)
	}
	s.proof.mail = true
	return true
}

// next has then follow the reply to the last command.
func (s *sender) next(then func()) { s.expected[len(s.expected)-1].then = then }

// authenticate begins an exchange of AUTH.
func (s *sender) authenticate() {
	w := s.w
	mechanism := [...]string{"PLAIN", "PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"}[w.random.IntN(5)]
	t := w.newTry(s, s.socket, mechanism, !w.chance(w.plan.wrong))
	begins, initial := "AUTH "+mechanism, w.chance(500)
	if name := base64.StdEncoding.EncodeToString([]byte(t.user())); mechanism != "LOGIN" {
		if initial {
			s.attempt(begins+" "+t.response(), t)
			s.ahead(t)
			return
		}
		s.say(begins+"\r\n", "334 \r", nil)
		s.respond(t)
	} else if initial {
		s.say(begins+" "+name+"\r\n", askPassword, nil)
		s.respond(t)
	} else {
		s.say(begins+"\r\n", "334 VXNlcm5hbWU6\r", nil)
		s.next(func() {
			s.say(name+"\r\n", askPassword, nil)
			s.respond(t)
		})
	}
}

// askPassword is the challenge of LOGIN to the name of a user.
const askPassword = "334 UGFzc3dvcmQ6\r"

// respond sends the response by which an attempt begins, or none.
func (s *sender) respond(t *try) {
	w := s.w
	switch {
	case w.chance(100):
		s.say("*\r\n", "501 5.7.0", nil)
	case w.fault("client impatient", w.plan.impatient):
		s.attempt(t.response(), t)
	default:
		s.next(func() { s.attempt(t.response(), t) })
	}
}

// attempt sends the line by which an attempt begins.
func (s *sender) attempt(line string, t *try) {
	s.say(line+"\r\n", "", nil)
	s.expected[len(s.expected)-1].to = "attempt"
	s.expected[len(s.expected)-1].try = t
}

// ahead now and then sends much behind an attempt, or half-closes. No line may come behind
// one that may be answered by a challenge.
func (s *sender) ahead(t *try) {
	w := s.w
	switch {
	case w.chance(50):
		s.last = true
	case !t.token() && w.chance(200):
		for range w.random.IntN(w.plan.ahead) {
			s.say("VRFY "+filler[:450]+"\r\n", "252 2.0.0", nil)
		}
	}
}

// judged takes the reply to an attempt.
func (s *sender) judged(line string, t *try) {
	w := s.w
	u := t.socket.p.users
	u.heard++
	over := t.since + timeouts.Auth // by when there must be an answer
	late := over
	if t.answered && t.at <= over+slack {
		late = max(late, t.at+t.delay)
	}
	refused := t.answered && t.verdict == session.AuthRefused
	switch code := line[:4]; {
	case !t.begun:
		w.fail("sender %d got %q to an attempt that never began", s.n, line)
	case code == "235 " && !(t.answered && t.verdict == session.AuthAccepted):
		w.fail("sender %d was accepted, and nobody knows it", s.n)
	case code == "454 " && !t.full && !(t.answered && t.verdict == session.AuthUnavailable) && w.now < over:
		w.fail("sender %d was told that there is no answer", s.n)
	case (code == "535 " || code == "334 ") && !refused, code == "334 " && !t.token(), code == "535 " && t.token():
		w.fail("sender %d got %q to its attempt by %s", s.n, line, t.mechanism)
	case !strings.Contains("235 454 535 334 ", code):
		w.fail("sender %d got %q to an attempt", s.n, line)
	case (code == "535 " || code == "334 ") && w.now < t.at+t.delay && !t.socket.p.terminating:
		w.fail("sender %d had its answer before its time", s.n)
	case !s.socket.faulty && w.now > late+slack:
		w.fail("sender %d waited %v for its attempt", s.n, w.now-t.since)
	case (t.full || t.answered) && !bytes.Equal(t.held, make([]byte, len(t.held))):
		w.fail("an attempt is over, and its secret is not wiped")
	case code == "235 ":
		s.proof.auth = &pipeline.Auth{Mechanism: t.mechanism, Identity: t.identity(), Backend: "sim", Issuer: "issuer"}
	case code == "334 ":
		w.tally["auth token refused"]++
		s.say([...]string{"AQ==\r\n", "*\r\n", "\r\n"}[w.random.IntN(3)], "535 5.7.8", nil)
	case w.chance(300):
		s.hangUp("refused")
	}
}

// outsider says a recipient who is none of the gateway's domains.
func (s *sender) outsider(l *letter) {
	const to = "b@example.org"
	if !s.w.plan.auth {
		s.say("RCPT TO:<"+to+">\r\n", "550 5.7.1", nil)
		return
	}
	l.to = append(l.to, to)
	s.say("RCPT TO:<"+to+">\r\n", "250 2.1.5", nil)
}

// authenticates has a sender authenticate once before TLS, which must forget it.
func (t *tap) authenticates() bool {
	w := t.s.p.w
	if !w.plan.auth || t.proven || !w.chance(500) {
		return false
	}
	w.tally["auth before TLS"]++
	t.proven = true
	t.wire = append(t.wire, "AUTH PLAIN "+w.newTry(t.s.sender, t.s, "PLAIN", true).response()+"\r\n"...)
	return true
}

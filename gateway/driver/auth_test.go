package driver

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// scriptedUsers implements Authenticator. It knows ann@example.net, with the password
// secret and the token token. A failure is answered later than the one before.
type scriptedUsers struct {
	full     bool // there is room for none
	hold     bool
	held     []*Attempt
	failures int
	secrets  [][]byte // of all attempts
}

func (u *scriptedUsers) Begin(a *Attempt) bool {
	if u.full {
		return false
	}
	u.secrets = append(u.secrets, a.Secret)
	if u.held = append(u.held, a); !u.hold {
		u.release()
	}
	return true
}

// release judges what is held.
func (u *scriptedUsers) release() {
	for _, a := range u.held {
		switch right := map[bool]string{false: "secret", true: "token"}[a.Mechanism.Token()]; {
		case a.User == "down@example.net":
			a.Answer = session.Answer{Backend: "ldap", Reason: "unreachable", Err: errScripted}
		case a.User == "ann@example.net" && string(a.Secret) == right && a.Acts == "":
			a.Answer = session.Answer{Verdict: session.AuthAccepted, Identity: a.User, Backend: "static"}
		default:
			a.Answer = session.Answer{Verdict: session.AuthRefused, Backend: "static", Reason: "wrong_password"}
			if u.failures++; u.failures > 1 {
				a.Delay = time.Second << (u.failures - 2)
			}
		}
		a.Wipe()
		a.Home(a)
	}
	u.held = nil
}

// ownSender has everybody send from the own address alone.
type ownSender struct{}

func (ownSender) Allows(identity string, path []byte) bool { return identity == string(path) }

// authWorld is a world whose listener takes the mail of users.
func authWorld(t testing.TB) (*world, *scriptedUsers) {
	o, users := testOptions(), &scriptedUsers{}
	o.Settings.SetAuth(session.AuthPolicy{Passwords: true, Tokens: true, PlainText: true, Senders: ownSender{}})
	o.Settings.Role, o.Submission, o.Authenticator = pipeline.RoleSubmission, true, users
	return newWorld(t, o), users
}

// plain returns a command that authenticates by PLAIN.
func plain(user, password string) string {
	return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "\r\n"
}

// TestAuthWaits has a session wait for its answer: what its client sends stays unread, and
// it pauses.
func TestAuthWaits(t *testing.T) {
	w, users := authWorld(t)
	users.hold = true
	s := w.connect()
	s.send(ehlo)
	s.hear()
	s.send(plain("ann@example.net", "secret") + "MAIL FROM:<ann@example.net>\r\n")
	if got := s.hear(); got != "" {
		t.Errorf("before the answer: %q", got)
	}
	if left := s.conn.session.TakeCredentials().Secret; left != nil {
		t.Errorf("the session keeps %d octets of the secret", cap(left))
	}
	s.send(strings.Repeat("NOOP\r\n", 1000))
	if !s.paused || w.seen.pauses["call"] != 1 {
		t.Errorf("paused %t, counted %v", s.paused, w.seen.pauses)
	}
	users.release()
	w.settle()
	if got := s.hear(); !strings.HasPrefix(got, "235 2.7.0 ") || !strings.Contains(got, "\r\n250 2.1.0 ") {
		t.Errorf("after the answer: %.80q", got)
	}
	if !bytes.Equal(users.secrets[0], make([]byte, len("secret"))) {
		t.Errorf("the secret is %q", users.secrets[0])
	}
	s.gone()
	w.cleanCalls()
}

// canary is a password that may stand in no line of the log.
const canary = "canary-7c2e"

// TestAuthAnswers has attempts end in every way: each has one reply, one count and, when it
// failed, one line.
func TestAuthAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(w *world, s *memorySocket, users *scriptedUsers)
		says    string
		counted string // backend and reason
	}{
		"refused": {func(*world, *memorySocket, *scriptedUsers) {}, "535 5.7.8 ", "static wrong_password"},
		"no room": {func(_ *world, _ *memorySocket, users *scriptedUsers) { users.full = true }, "454 4.7.0 ", " busy"},
		"no answer": {func(w *world, _ *memorySocket, users *scriptedUsers) {
			users.hold = true
		}, "454 4.7.0 ", " timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			w, users := authWorld(t)
			s := w.connect()
			s.send(ehlo)
			s.hear()
			test.happens(w, s, users)
			command := plain("ann@example.net", canary)
			s.send(command)
			w.advance(testTimeouts().Auth + time.Second)
			if got := s.hear(); !strings.HasPrefix(got, test.says) || strings.Count(got, "\n") != 1 {
				t.Errorf("%q, want %q", got, test.says)
			}
			if w.seen.auth[test.counted] != 1 || len(w.seen.auth) != 1 {
				t.Errorf("counted %v, not %q", w.seen.auth, test.counted)
			}
			r := w.seen.refusals[len(w.seen.refusals)-1]
			if got := r.Backend + " " + r.Reason; got != test.counted || r.User != "ann@example.net" || r.Mechanism != "PLAIN" || r.Verb != "AUTH" {
				t.Errorf("logged %+v", r)
			}
			response := strings.TrimSpace(strings.TrimPrefix(command, "AUTH PLAIN "))
			if text := fmt.Sprintf("%+v", w.seen.refusals); strings.Contains(text, canary) || strings.Contains(text, response) {
				t.Errorf("the log has the password: %s", text)
			}
			users.full, users.hold = false, false
			users.release() // what came too late
			w.settle()
			s.send(plain("ann@example.net", "secret") + "QUIT\r\n")
			if got := s.hear(); !strings.HasPrefix(got, "235 ") {
				t.Errorf("the next attempt: %q", got)
			}
			w.cleanCalls()
		})
	}
}

// TestAuthEnds has sessions end while an attempt is in flight, or its answer is held.
func TestAuthEnds(t *testing.T) {
	ends := map[string]func(w *world, s *memorySocket){
		"gone":    func(_ *world, s *memorySocket) { s.gone() },
		"drained": func(w *world, _ *memorySocket) { w.shared.Refuse(); w.advance(40 * time.Second) },
		"ended": func(w *world, s *memorySocket) {
			s.ended = true
			w.loop.InputEnded(&s.conn)
			w.settle()
			w.advance(40 * time.Second)
		},
		"overdue": func(w *world, _ *memorySocket) { w.advance(6 * time.Minute) },
		"no pause": func(w *world, s *memorySocket) {
			s.noPause = errors.New("no descriptor")
			s.send(strings.Repeat("x", 5000))
			w.advance(time.Minute)
		},
	}
	for name, ends := range ends {
		for _, held := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, held %t", name, held), func(t *testing.T) {
				w, users := authWorld(t)
				users.failures, users.hold = 3, !held
				s := w.connect()
				s.send(ehlo + plain("ann@example.net", "wrong"))
				ends(w, s)
				users.release()
				w.settle()
				if !s.closed {
					w.advance(10 * time.Minute)
				}
				if !s.closed {
					t.Error("goes on")
				}
				w.cleanCalls()
			})
		}
	}
}

// TestAuthUnheard counts and logs attempts whose client does not wait for the answer: it is
// gone while the attempt is judged, or while a refusal is held. So nobody tries out passwords
// unseen.
func TestAuthUnheard(t *testing.T) {
	for _, held := range []bool{false, true} {
		for password, counted := range map[string]string{"wrong": "static wrong_password", "secret": "static "} {
			t.Run(fmt.Sprintf("held %t, %s", held, password), func(t *testing.T) {
				w, users := authWorld(t)
				users.failures, users.hold = 3, !held
				s := w.connect()
				s.send(ehlo + plain("ann@example.net", password))
				s.gone()
				users.release()
				w.settle()
				if w.seen.auth[counted] != 1 || len(w.seen.auth) != 1 {
					t.Errorf("counted %v, not %q", w.seen.auth, counted)
				}
				lines := 0
				for _, r := range w.seen.refusals {
					if r.User == "ann@example.net" && r.Reason == "wrong_password" && r.Cause == CauseClientGone && r.Client.IsValid() && r.Session != 0 {
						lines++
					}
				}
				if want := map[string]int{"wrong": 1, "secret": 0}[password]; lines != want || len(w.seen.refusals) != want {
					t.Errorf("%d lines, want %d: %+v", lines, want, w.seen.refusals)
				}
				if logins := w.seen.logins; len(logins) != 1-lines {
					t.Errorf("logins %+v", logins)
				} else if lines == 0 && (logins[0].User != "ann@example.net" || logins[0].Gone == held || !logins[0].Client.IsValid() || logins[0].Session == 0) {
					t.Errorf("login %+v", logins[0])
				}
				w.cleanCalls()
			})
		}
	}
}

// TestLoginIsLogged: who has authenticated has a line without any mail, and what is refused
// from then on names the user.
func TestLoginIsLogged(t *testing.T) {
	w, _ := authWorld(t)
	s := w.connect()
	s.send(ehlo + plain("ann@example.net", "secret") + "MAIL FROM:<bob@example.net>\r\n")
	if got := s.hear(); !strings.Contains(got, "\r\n553 5.7.1 ") {
		t.Errorf("said %q", got)
	}
	want := []Login{{
		Session: s.conn.session.ID(), Client: s.conn.session.Client(), Helo: s.conn.session.Helo(),
		User: "ann@example.net", Mechanism: "PLAIN", Backend: "static",
	}}
	if !slices.Equal(w.seen.logins, want) {
		t.Errorf("logins %+v, want %+v", w.seen.logins, want)
	}
	if r := w.seen.refusals[len(w.seen.refusals)-1]; r.Cause != "sender_not_owned" || r.User != "ann@example.net" || r.Mechanism != "PLAIN" || r.Backend != "static" || r.Reason != "" {
		t.Errorf("refused %+v", r)
	}
	s.send("MAIL FROM:<ann@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
	s.gone()
	if len(w.seen.losses) != 1 || !strings.HasPrefix(w.seen.losses[0], "ann@example.net ") {
		t.Errorf("losses %q", w.seen.losses)
	}
	w.cleanCalls()
}

// TestDrainWaitsForNoFailure has a process shut down while an attempt waits for its answer,
// because it has failed: the client has it at once, and the session ends, also if a client
// with a token says nothing more.
func TestDrainWaitsForNoFailure(t *testing.T) {
	bearer := "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=ann@example.net\x01auth=Bearer wrong\x01\x01")) + "\r\n"
	for command, answer := range map[string]string{plain("ann@example.net", "wrong"): "535 5.7.8 ", bearer: "334 "} {
		for _, held := range []bool{false, true} {
			w, users := authWorld(t)
			users.failures, users.hold = 5, !held
			s := w.connect()
			s.send(ehlo)
			s.hear()
			s.send(command)
			w.shared.Refuse()
			w.advance(time.Second)
			users.release()
			w.settle()
			w.advance(time.Second)
			if got := s.hear(); !strings.HasPrefix(got, answer) || !strings.Contains(got, "\r\n421 4.3.2 ") || strings.Count(got, "\n") != 2 {
				t.Errorf("held %t: %q", held, got)
			}
			if n := w.seen.auth["static wrong_password"]; n != 1 {
				t.Errorf("held %t: counted %d times", held, n)
			}
			s.gone()
			w.cleanCalls()
		}
	}
}

// TestAuthNeedsTLS has AUTH neither offered nor taken before TLS: nobody is asked about a
// password that came in the open. Behind TLS it is both.
func TestAuthNeedsTLS(t *testing.T) {
	o, users := testOptions(), &scriptedUsers{}
	o.Settings.SetTLS(session.TLSPolicy{Offered: true})
	o.Settings.SetAuth(session.AuthPolicy{Passwords: true, Senders: ownSender{}})
	o.Settings.Role, o.Submission, o.Authenticator = pipeline.RoleSubmission, true, users
	o.Security = &toySecurity{most: 100}
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo)
	if got := s.hear(); strings.Contains(got, "AUTH") || !strings.Contains(got, "STARTTLS\r\n") {
		t.Errorf("offered: %q", got)
	}
	ann := plain("ann@example.net", "secret")
	s.send(ann + "AUTH LOGIN\r\nMAIL FROM:<ann@example.net>\r\nSTARTTLS\r\n")
	wants(t, s.hear(), "538 5.7.11 ", "538 5.7.11 ", "530 5.7.0 ", "220 2.0.0 ")
	if len(users.secrets) != 0 {
		t.Errorf("%d attempts before TLS", len(users.secrets))
	}
	c := s.shake()
	c.says(ehlo)
	if got := c.hears(); !strings.HasSuffix(got, "\r\n250 AUTH PLAIN LOGIN\r\n") {
		t.Errorf("offered behind TLS: %q", got)
	}
	c.says(ann + "MAIL FROM:<ann@example.net>\r\nRCPT TO:<somebody@elsewhere.example>\r\nDATA\r\n")
	wants(t, c.hears(), "235 2.7.0 ", "250 ", "250 ", "354 ")
	c.says("Subject: x\r\n\r\n.\r\nQUIT\r\n")
	wants(t, c.hears(), "250 2.0.0 ", "221 ")
	if got := string(w.store.puts[0]); !strings.Contains(got, " with ESMTPSA id ") {
		t.Errorf("stored %q", got)
	}
	w.cleanCalls()
}

// TestAuthClass checks that who has authenticated is of the gate's class for that, and that
// sessions of a listener for submission are shed at MAIL alone.
func TestAuthClass(t *testing.T) {
	o, gate := testOptions(), &testGate{below: 1 << 16}
	o.Gate, o.Submission, o.Authenticator = gate, true, &scriptedUsers{}
	o.Settings.SetAuth(session.AuthPolicy{Passwords: true, PlainText: true})
	o.Settings.Role = pipeline.RoleSubmission
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo)
	if got := s.hear(); !strings.HasPrefix(got, "220 ") {
		t.Fatalf("shed at the greeting: %q", got)
	}
	s.send(plain("ann@example.net", "secret") + "MAIL FROM:<a@example.com>\r\n")
	if got := s.hear(); !strings.Contains(got, "\n250 2.1.0 ") {
		t.Errorf("%q", got)
	}
	s.gone()
	for what, failed := range map[string]string{
		"has not authenticated": "NOOP\r\n", "was refused": plain("ann@example.net", "wrong"), "nobody could judge": plain("down@example.net", "secret"),
	} {
		other := w.connect()
		other.send(ehlo + failed)
		other.hear()
		other.send("MAIL FROM:<a@example.com>\r\n")
		if got := other.hear(); !strings.HasPrefix(got, "421 ") {
			t.Errorf("one that %s: %q", what, got)
		}
		other.gone()
	}
	w.cleanCalls()
}

// TestAuthClassEndsWithTLS has a session behind STARTTLS be of the class of its address
// again: who has authenticated before TLS has to do so once more.
func TestAuthClassEndsWithTLS(t *testing.T) {
	o, gate := testOptions(), &testGate{below: 1 << 16}
	o.Gate, o.Submission, o.Authenticator, o.Security = gate, true, &scriptedUsers{}, &toySecurity{most: 100}
	o.Settings.SetTLS(session.TLSPolicy{Offered: true})
	o.Settings.SetAuth(session.AuthPolicy{Passwords: true, PlainText: true})
	o.Settings.Role = pipeline.RoleSubmission
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + plain("ann@example.net", "secret") + "STARTTLS\r\n")
	if got := s.hear(); !strings.Contains(got, "\n235 2.7.0 ") || !strings.Contains(got, "\n220 2.0.0 ") {
		t.Fatalf("%q", got)
	}
	c := s.shake()
	c.says(ehlo + "MAIL FROM:<a@example.com>\r\n")
	if got := c.hears(); !strings.Contains(got, "\r\n421 ") {
		t.Errorf("not shed: %q", got)
	}
	s.gone()
	w.cleanCalls()
}

// TestRefusedTokenIsLogged logs the refusal of a token once, however its client takes it.
func TestRefusedTokenIsLogged(t *testing.T) {
	for name, leaves := range map[string]func(w *world, s *memorySocket){
		"hears":       func(_ *world, s *memorySocket) { s.send("AQ==\r\n") },
		"cancels":     func(_ *world, s *memorySocket) { s.send("*\r\n") },
		"sends much":  func(_ *world, s *memorySocket) { s.send(strings.Repeat("x", 40<<10) + "\r\n") },
		"is gone":     func(_ *world, s *memorySocket) { s.gone() },
		"says naught": func(w *world, _ *memorySocket) { w.advance(6 * time.Minute) },
		"is drained":  func(w *world, _ *memorySocket) { w.shared.Refuse(); w.advance(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := authWorld(t)
			s := w.connect()
			token := base64.StdEncoding.EncodeToString([]byte("user=ann@example.net\x01auth=Bearer wrong\x01\x01"))
			s.send(ehlo + "AUTH XOAUTH2 " + token + "\r\n")
			if got := s.hear(); !strings.Contains(got, "\r\n334 ") {
				t.Fatalf("%q", got)
			}
			leaves(w, s)
			if !s.closed {
				s.gone()
			}
			if len(w.seen.refusals) != 1 {
				t.Fatalf("logged %+v", w.seen.refusals)
			}
			r := w.seen.refusals[0]
			if r.User != "ann@example.net" || r.Mechanism != "XOAUTH2" || r.Backend != "static" || r.Reason != "wrong_password" {
				t.Errorf("logged %+v", r)
			}
			w.cleanCalls()
		})
	}
}

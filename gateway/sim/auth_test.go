package sim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// authWorlds marks the seeds of worlds in which clients authenticate before they send, and
// authAlso what else there is in some of them.
const authWorlds = 1 << 59

var authAlso = [...]uint64{0, secureWorlds, callWorlds, frontWorlds}

// takeUsers makes a listener one for submission, whose clients may also name themselves by
// XCLIENT.
func (p *plan) takeUsers(at *driver.Listener) {
	if !p.auth {
		return
	}
	at.Submission = true
	if !p.front {
		at.XclientNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}
}

// authSettings makes settings those of a listener for submission.
func (p *plan) authSettings(s *session.Settings) *session.Settings {
	if p.auth {
		s.Role = pipeline.RoleSubmission
		s.SetAuth(session.AuthPolicy{Passwords: true, Tokens: true, PlainText: true, Senders: ownSender{}})
	}
	return s
}

// ownSender has a user send from the addresses of one sender alone.
type ownSender struct{}

// Allows implements session.Senders.
func (ownSender) Allows(identity string, path []byte) bool {
	var user, of, n int
	_, _ = fmt.Sscanf(identity, "user-%d+", &user)
	_, err := fmt.Sscanf(string(path), "from-%d-%d@", &of, &n)
	return err == nil && user == of
}

// try is one attempt of a sender to authenticate, and what became of it. Each has a secret
// of its own.
type try struct {
	n         int
	sender    *sender
	socket    *socket
	mechanism string
	secret    string
	right     bool

	held     []byte // the secret, as the gateway has it
	begun    bool
	since    time.Duration
	full     bool // there was no room for it
	answered bool
	at       time.Duration
	verdict  session.Verdict
	delay    time.Duration
}

func (t *try) user() string { return fmt.Sprintf("user-%d@example.net", t.sender.n) }

// identity tells the answers to all tries apart.
func (t *try) identity() string { return fmt.Sprintf("user-%d+%d@example.net", t.sender.n, t.n) }

// token reports whether the secret is a token.
func (t *try) token() bool {
	return strings.HasSuffix(t.mechanism, "OAUTH2") || t.mechanism == "OAUTHBEARER"
}

// response is the text, in base64, that has the secret.
func (t *try) response() string {
	text := "\x00" + t.user() + "\x00" + t.secret
	switch t.mechanism {
	case "LOGIN":
		text = t.secret
	case "XOAUTH2":
		text = "user=" + t.user() + "\x01auth=Bearer " + t.secret + "\x01\x01"
	case "OAUTHBEARER":
		text = "n,a=" + t.user() + ",\x01auth=Bearer " + t.secret + "\x01\x01"
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// users implements driver.Authenticator. It judges a try by its secret: late, wrongly, or
// not before it is of use to nobody.
type users struct {
	p                  *process
	away               int // attempts that are not at home
	begun, told, heard int
}

// Begin implements driver.Authenticator.
func (u *users) Begin(a *driver.Attempt) bool {
	w := u.p.w
	t := w.tries[string(a.Secret)]
	switch {
	case t == nil || t.begun || t.socket.p != u.p || t.socket.closed:
		w.fail("an attempt of nobody, or for the second time: %s %q", a.User, a.Secret)
		return false
	case a.User != t.user() || a.Acts != "" || a.Mechanism.String() != t.mechanism || a.Client != t.socket.client.Addr():
		w.fail("sender %d's attempt is of %s at %s by %s", t.sender.n, a.User, a.Client, a.Mechanism)
	}
	u.begun++
	t.begun, t.since, t.held = true, w.now, a.Secret
	if t.full = w.fault("no room for an attempt", w.plan.noPause); t.full {
		return false
	}
	w.note("attempt", t.sender.n, t.n)
	u.away++
	took := w.pace(w.plan.storeLate, w.storeOut)
	if w.fault("late attempt", w.plan.storeLate) {
		took = a.Limit + w.within(3*time.Second)
	}
	w.begin(took, nil, func() { u.judge(a, t) })
	return true
}

// judge answers an attempt.
func (u *users) judge(a *driver.Attempt, t *try) {
	w := u.p.w
	a.Answer = session.Answer{Backend: "sim"}
	switch {
	case w.fault("users out", w.plan.logError):
		a.Answer.Reason, a.Answer.Err = "unreachable", errFault
	case t.right:
		a.Answer.Verdict, a.Answer.Identity, a.Answer.Issuer = session.AuthAccepted, t.identity(), "issuer"
	default:
		a.Answer.Verdict, a.Answer.Reason = session.AuthRefused, "wrong_password"
		if w.chance(700) {
			a.Delay = time.Millisecond + w.within(3*time.Second)
			w.tally["auth held"]++
		}
	}
	if t.socket.closed {
		w.tally["auth for nobody"]++
	} else if w.now > t.since+a.Limit {
		w.tally["auth too late"]++
	}
	w.note("judged", t.sender.n, t.n)
	t.answered, t.at, t.verdict, t.delay = true, w.now, a.Answer.Verdict, a.Delay
	u.away--
	a.Wipe()
	a.Home(a)
}

// judged counts what the gateway made of an attempt.
func (u *users) judged(reason string) {
	u.told++
	if reason == "" {
		reason = "accepted"
	}
	u.p.w.tally["auth "+reason]++
}

// logged asserts that no log line has a secret.
func (u *users) logged(line any) {
	if text := fmt.Sprintf("%+v", line); u.p.w.plan.auth && strings.Contains(text, canary) {
		u.p.w.fail("a secret is in the log: %s", text)
	}
}

// canary begins each secret.
const canary = "canary"

// forgot asserts that what a session has taken has no secret any more.
func (u *users) forgot(taken []byte) {
	if !u.p.w.plan.auth {
		return
	}
	for _, line := range bytes.Split(taken, []byte("\r\n")) {
		_, response, found := bytes.Cut(line, []byte("AHVzZXIt")) // base64 of NUL user-
		if !found {
			continue
		}
		text, _ := base64.StdEncoding.DecodeString(string(response))
		if i := bytes.IndexByte(text, 0); i >= 0 && u.p.w.tries[string(text[i+1:])] != nil && u.p.w.tries[string(text[i+1:])].begun {
			u.p.w.fail("a secret stays in a buffer")
		}
	}
}

// audit asserts in the end that each attempt had one outcome at most, and that none was
// told that was not counted.
func (u *users) audit() {
	if u.heard > u.told || u.told > u.begun {
		u.p.w.fail("%d attempts have begun, %d are counted, and senders heard of %d", u.begun, u.told, u.heard)
	}
}

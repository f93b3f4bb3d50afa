package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice/codec"
	"sluice/gateway/driver"
	"sluice/gateway/identity"
	"sluice/gateway/session"
	"sluice/internal/panics"
	"sluice/internal/testkit"
)

// fake is a backend that does what judge says.
type fake struct {
	name   string
	tokens bool
	asked  atomic.Int64
	judge  func(ctx context.Context, a *identity.Attempt) identity.Answer
	closed bool
}

func (f *fake) Name() string { return f.name }
func (f *fake) Tokens() bool { return f.tokens }
func (f *fake) Close() error { f.closed = true; return nil }

func (f *fake) Authenticate(ctx context.Context, a *identity.Attempt) identity.Answer {
	f.asked.Add(1)
	return f.judge(ctx, a)
}

// knows returns a judge that accepts users with the password secret and does not know
// others.
func knows(users ...string) func(context.Context, *identity.Attempt) identity.Answer {
	return func(_ context.Context, a *identity.Attempt) identity.Answer {
		for _, user := range users {
			switch {
			case a.User != user:
			case string(a.Secret) == "secret":
				return identity.Answer{Verdict: identity.Accepted, Identity: user}
			default:
				return identity.Answer{Verdict: identity.Refused, Reason: identity.ReasonWrongPassword}
			}
		}
		return identity.Answer{Verdict: identity.Unknown, Reason: identity.ReasonUnknownUser}
	}
}

// says returns a judge with one answer.
func says(answer identity.Answer) func(context.Context, *identity.Attempt) identity.Answer {
	return func(context.Context, *identity.Attempt) identity.Answer { return answer }
}

// silent is a judge that waits until nobody does any more.
func silent(ctx context.Context, _ *identity.Attempt) identity.Answer {
	<-ctx.Done()
	return identity.Answer{Reason: identity.ReasonTimeout, Err: ctx.Err()}
}

func newPool(t testing.TB, o Options) *Pool {
	p := NewPool(o)
	t.Cleanup(func() {
		if err := p.Close(0); err != nil {
			t.Error(err)
		}
		if n := p.attempts.Counted(); n != 0 || p.Begun() != 0 {
			t.Errorf("%d attempts are left", n)
		}
	})
	return p
}

// attempt returns an attempt, and what it brings home.
func attempt(user, secret, client string) (*driver.Attempt, chan *driver.Attempt) {
	home := make(chan *driver.Attempt, 1)
	return &driver.Attempt{
		Credentials: codec.Credentials{Mechanism: codec.MechanismPlain, User: user, Secret: []byte(secret)},
		Client:      netip.MustParseAddr(client), Limit: 20 * time.Second,
		Home: func(a *driver.Attempt) { home <- a },
	}, home
}

// try makes an attempt and returns the answer.
func try(t testing.TB, p *Pool, user, secret string) *driver.Attempt {
	t.Helper()
	a, home := attempt(user, secret, "192.0.2.1")
	if !p.Begin(a) {
		t.Fatal("no room")
	}
	return <-home
}

// TestOrder asks backends in their order: the first that knows the user decides, and one in
// trouble ends the attempt.
func TestOrder(t *testing.T) {
	first, second := &fake{name: "static", judge: knows("ann")}, &fake{name: "ldap", judge: knows("ann", "bob")}
	third := &fake{name: "oidc-token", tokens: true, judge: silent}
	p := newPool(t, Options{Sources: []Source{{Backend: first, Concurrency: 1}, {Backend: third, Concurrency: 1}, {Backend: second, Concurrency: 1}}, Attempts: 8})
	trouble := &fake{name: "ldap", judge: says(identity.Answer{Reason: identity.ReasonUnreachable, Err: errors.New("no route")})}
	troubled := newPool(t, Options{Sources: []Source{{Backend: trouble, Concurrency: 1}, {Backend: first, Concurrency: 1}}, Attempts: 8})
	for _, test := range []struct {
		pool         *Pool
		user, secret string
		want         session.Answer
	}{
		{p, "ann", "secret", session.Answer{Verdict: session.AuthAccepted, Identity: "ann", Backend: "static"}},
		{p, "ann", "wrong", session.Answer{Verdict: session.AuthRefused, Backend: "static", Reason: "wrong_password"}},
		{p, "bob", "secret", session.Answer{Verdict: session.AuthAccepted, Identity: "bob", Backend: "ldap"}},
		{p, "eve", "secret", session.Answer{Verdict: session.AuthRefused, Backend: "ldap", Reason: "unknown_user"}},
		{troubled, "ann", "secret", session.Answer{Verdict: session.AuthUnavailable, Backend: "ldap", Reason: "unreachable"}},
	} {
		a := try(t, test.pool, test.user, test.secret)
		got := a.Answer
		got.Err = nil
		if got != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.user, test.secret, got, test.want)
		}
		if strings.Trim(string(a.Secret), "\x00") != "" {
			t.Errorf("the secret is left: %q", a.Secret)
		}
	}
	if third.asked.Load() != 0 {
		t.Error("one that judges tokens was asked about a password")
	}
	if err := p.Close(time.Second); err != nil || !first.closed || !third.closed {
		t.Errorf("%v, closed %t, %t", err, first.closed, third.closed)
	}
	if a, _ := attempt("ann", "secret", "192.0.2.1"); p.Begin(a) {
		t.Error("a closed pool takes an attempt")
	}
}

// TestRefusedUnasked refuses what no backend may see.
func TestRefusedUnasked(t *testing.T) {
	asked := &fake{name: "static", judge: says(identity.Answer{Verdict: identity.Accepted, Identity: "ann"})}
	p := newPool(t, Options{Sources: []Source{{Backend: asked, Concurrency: 1}}, Attempts: 8})
	for _, test := range []struct{ user, secret, acts, reason string }{
		{"ann", "", "", "empty_secret"}, {"ann", "secret", "bob", "acts_for_another"},
		{"ann", "se\x00cret", "", "malformed"}, {"ann", strings.Repeat("s", identity.MaxSecret+1), "", "malformed"},
		{strings.Repeat("a", identity.MaxUser+1), "secret", "", "malformed"},
	} {
		a, home := attempt(test.user, test.secret, "192.0.2.1")
		a.Acts = test.acts
		p.Begin(a)
		if got := (<-home).Answer; got.Verdict != session.AuthRefused || got.Reason != test.reason {
			t.Errorf("%.20q %.20q: %+v", test.user, test.secret, got)
		}
	}
	if n := asked.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	a, home := attempt("Ann", "secret", "192.0.2.1")
	a.Acts = "ann"
	p.Begin(a)
	if got := (<-home).Answer; got.Verdict != session.AuthAccepted {
		t.Errorf("who acts as itself: %+v", got)
	}
}

// TestDelays has who fails again wait longer, by name and by address, and nobody who is
// right.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Sources: []Source{{Backend: &fake{name: "static", judge: knows("ann", "bob")}, Concurrency: 1}}, Attempts: 8})
		from := func(user, secret, client string) time.Duration {
			a, home := attempt(user, secret, client)
			p.Begin(a)
			return (<-home).Delay
		}
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30, 30} {
			client := fmt.Sprintf("192.0.2.%d", i+1)
			if got := from("ann", "wrong", client); got != want*time.Second {
				t.Errorf("failure %d of a name waits %v, not %v s", i, got, want)
			}
			client = fmt.Sprintf("2001:db8::%d", i+1)
			if got := from(fmt.Sprintf("nobody%d", i), "wrong", client); got != want*time.Second {
				t.Errorf("failure %d of a network waits %v, not %v s", i, got, want)
			}
		}
		if got := from("ANN", "wrong", "198.51.100.1"); got != mostDelay {
			t.Errorf("another case of the name waits %v", got)
		}
		if got := from("ann", "secret", "192.0.2.1"); got != 0 {
			t.Errorf("who is right waits %v", got)
		}
		if got := from("ann", "wrong", "198.51.100.2"); got != 0 {
			t.Errorf("the first failure behind a success waits %v", got)
		}
		time.Sleep(forgotten + 2*time.Second)
		if got := from("nobody1", "wrong", "2001:db8::77"); got != 0 {
			t.Errorf("a failure much later waits %v", got)
		}
	})
}

// TestBounds has one address take an eighth of all attempts, one that has failed lately half
// of them, and a backend judge no more at a time than it may.
func TestBounds(t *testing.T) {
	var now, most atomic.Int64
	release := make(chan struct{})
	held := &fake{name: "static", judge: func(_ context.Context, a *identity.Attempt) identity.Answer {
		n := now.Add(1)
		defer now.Add(-1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		if a.User == "at once" {
			return identity.Answer{Verdict: identity.Refused, Reason: identity.ReasonWrongPassword}
		}
		<-release
		return identity.Answer{Verdict: identity.Accepted, Identity: a.User}
	}}
	p := newPool(t, Options{Sources: []Source{{Backend: held, Concurrency: 3}}, Attempts: 32})
	failing, home := attempt("at once", "wrong", "198.51.100.1")
	p.Begin(failing)
	<-home
	var homes []chan *driver.Attempt
	begin := func(user, client string) bool {
		a, home := attempt(user, "secret", client)
		ok := p.Begin(a)
		if ok {
			homes = append(homes, home)
		}
		return ok
	}
	for range 4 {
		if !begin("ann", "192.0.2.1") {
			t.Error("no room for an eighth")
		}
	}
	if begin("ann", "192.0.2.1") {
		t.Error("room for more than an eighth")
	}
	for i := range 12 {
		begin("bob", fmt.Sprintf("192.0.3.%d", i))
	}
	if begin("carl", "198.51.100.1") {
		t.Error("an address that has failed lately has more than half")
	}
	if !begin("at once", "203.0.113.1") {
		t.Error("no room for a user with whose name another address has failed")
	}
	for i := range 15 {
		if !begin("dora", fmt.Sprintf("192.0.4.%d", i)) {
			t.Error("no room for who has not failed")
		}
	}
	if begin("eve", "203.0.113.2") {
		t.Error("room for more than all")
	}
	testkit.Eventually(t, "three are judged", func() bool { return now.Load() == 3 })
	close(release)
	for _, home := range homes {
		if got := (<-home).Answer; got.Verdict != session.AuthAccepted && got.Reason != "wrong_password" {
			t.Errorf("%+v", got)
		}
	}
	if most.Load() != 3 {
		t.Errorf("%d were judged at a time", most.Load())
	}
}

// TestComputesHalfOfTheTime checks that a backend that takes processors from mail rests after
// each attempt for as long as that took, and that one that waits elsewhere does not.
func TestComputesHalfOfTheTime(t *testing.T) {
	for computes, want := range map[bool]time.Duration{true: 5 * time.Second, false: 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			slow := &fake{name: "static", judge: func(context.Context, *identity.Attempt) identity.Answer {
				time.Sleep(time.Second)
				return identity.Answer{Verdict: identity.Accepted, Identity: "ann"}
			}}
			p := newPool(t, Options{Sources: []Source{{slow, 1, computes}}, Attempts: 32})
			began := time.Now()
			var homes []chan *driver.Attempt
			for range 3 {
				a, home := attempt("ann", "secret", "192.0.2.1")
				p.Begin(a)
				homes = append(homes, home)
			}
			for _, home := range homes {
				<-home
			}
			if got := time.Since(began); got != want {
				t.Errorf("computes %t: three attempts take %s, want %s", computes, got, want)
			}
		})
	}
}

// TestNamesCostNothing has one address fail with more names than there are counts: that holds
// nothing against other addresses.
func TestNamesCostNothing(t *testing.T) {
	f, now := newFailures(), time.Now()
	attacker := netip.MustParseAddr("198.51.100.1")
	for i := range 4 * len(f.names) {
		f.failed(fmt.Sprint("nobody", i), attacker, now)
	}
	if !f.known(attacker, now) {
		t.Error("the address that has failed is not known")
	}
	for i := range 256 {
		if f.known(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), now) {
			t.Errorf("192.0.2.%d has failed", i)
		}
	}
}

// TestSilentBackend ends attempts in time, also those that wait for their turn, and those in
// flight when the pool closes.
func TestSilentBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, Options{Sources: []Source{{Backend: &fake{name: "ldap", judge: silent}, Concurrency: 1}}, Attempts: 32})
		first, one := attempt("ann", "secret", "192.0.2.1")
		second, two := attempt("ann", "secret", "192.0.2.2")
		began := time.Now()
		p.Begin(first)
		synctest.Wait()
		p.Begin(second)
		a, b := (<-one).Answer, (<-two).Answer
		if took := time.Since(began); took != 20*time.Second || a.Reason != "timeout" || b.Reason != "busy" && b.Reason != "timeout" {
			t.Errorf("after %v: %+v, %+v", took, a, b)
		}
		third, three := attempt("ann", "secret", "192.0.2.1")
		p.Begin(third)
		began = time.Now()
		if err := p.Close(time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("closed after %v: %v", time.Since(began), err)
		}
		if got := (<-three).Answer; got.Verdict != session.AuthUnavailable {
			t.Errorf("%+v", got)
		}
	})
}

// TestPanicTellsNoSecret has a backend make a panic with the secret, and return it in an
// error.
func TestPanicTellsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var told strings.Builder
	panics.Notify(func(_ panics.Place, reason any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&told, "%v %s", reason, stack)
	})
	defer panics.Notify(func(panics.Place, any, []byte) {})
	const canary = "canary-7f3a"
	judge := func(_ context.Context, a *identity.Attempt) identity.Answer {
		if a.User == "panic" {
			panic(fmt.Sprintf("cannot judge %s", a.Secret))
		}
		return identity.Answer{Reason: identity.ReasonFailing, Err: fmt.Errorf("cannot judge %s", a.Secret)}
	}
	p := newPool(t, Options{Sources: []Source{{Backend: &fake{name: "static", judge: judge}, Concurrency: 1}}, Attempts: 8})
	for user, reason := range map[string]string{"panic": "internal", "error": "failing"} {
		got := try(t, p, user, canary).Answer
		if got.Verdict != session.AuthUnavailable || got.Reason != reason || got.Err == nil || strings.Contains(got.Err.Error(), canary) {
			t.Errorf("%s: %+v", user, got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(told.String(), "cannot judge [redacted]") || strings.Contains(told.String(), canary) {
		t.Errorf("told %s", told.String())
	}
}

// TestRest leaves a backend alone for as long as it asks.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := &fake{name: "oidc-password", judge: says(identity.Answer{Reason: identity.ReasonThrottled, RetryAfter: 10 * time.Second})}
		p := newPool(t, Options{Sources: []Source{{Backend: throttled, Concurrency: 1}}, Attempts: 8})
		for i, want := range []int64{1, 1, 1, 2} {
			if got := try(t, p, "ann", "secret").Answer; got.Verdict != session.AuthUnavailable || got.Reason != "throttled" {
				t.Errorf("%+v", got)
			}
			if n := throttled.asked.Load(); n != want {
				t.Errorf("after %d attempts: asked %d times, not %d", i+1, n, want)
			}
			time.Sleep(4 * time.Second)
		}
	})
}

// TestAcceptedAsNobody accepts nobody of whom a backend does not say who it is.
func TestAcceptedAsNobody(t *testing.T) {
	backend := &fake{name: "ldap", judge: says(identity.Answer{Verdict: identity.Accepted})}
	p := newPool(t, Options{Sources: []Source{{Backend: backend, Concurrency: 1}}, Attempts: 8, Cache: time.Minute})
	for range 2 {
		if got := try(t, p, "ann", "secret").Answer; got.Verdict != session.AuthUnavailable || got.Reason != "internal" || got.Err == nil {
			t.Errorf("%+v", got)
		}
	}
}

// TestTroubleIsNobodysFault has a backend in trouble: nobody waits for that answer, and it
// counts against neither the name nor the address.
func TestTroubleIsNobodysFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{name: "ldap", judge: says(identity.Answer{Reason: identity.ReasonUnreachable})}
		p := newPool(t, Options{Sources: []Source{{Backend: backend, Concurrency: 1}}, Attempts: 8})
		for range 5 {
			if a := try(t, p, "ann", "secret"); a.Answer.Verdict != session.AuthUnavailable || a.Delay != 0 {
				t.Errorf("%+v after %v", a.Answer, a.Delay)
			}
		}
		backend.judge = knows("ann")
		if a := try(t, p, "ann", "wrong"); a.Answer.Verdict != session.AuthRefused || a.Delay != 0 {
			t.Errorf("the first failure behind it: %+v after %v", a.Answer, a.Delay)
		}
	})
}

package auth

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"sluice/codec"
	"sluice/gateway/identity"
	"sluice/gateway/session"
)

// TestCache accepts a password again without a question, for a time and until Forget.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backend := &fake{name: "ldap", judge: knows("ann")}
		p := newPool(t, Options{Sources: []Source{{Backend: backend, Concurrency: 1}}, Attempts: 8, Cache: time.Minute})
		asks := func(what string, n int64, user, secret string, verdict session.Verdict) {
			t.Helper()
			before := backend.asked.Load()
			if got := try(t, p, user, secret).Answer; got.Verdict != verdict || got.Verdict == session.AuthAccepted && (got.Backend != "ldap" || got.Identity != "ann") {
				t.Errorf("%s: %+v", what, got)
			}
			if asked := backend.asked.Load() - before; asked != n {
				t.Errorf("%s: asked %d times", what, asked)
			}
		}
		asks("first", 1, "ann", "secret", session.AuthAccepted)
		asks("again", 0, "ann", "secret", session.AuthAccepted)
		asks("wrong", 1, "ann", "wrong", session.AuthRefused)
		asks("wrong again", 1, "ann", "wrong", session.AuthRefused)
		asks("another split", 1, "annsec", "ret", session.AuthRefused)
		asks("another user", 1, "bob", "secret", session.AuthRefused)
		time.Sleep(time.Minute + time.Second)
		asks("later", 1, "ann", "secret", session.AuthAccepted)
		p.Forget()
		asks("forgotten", 1, "ann", "secret", session.AuthAccepted)
		backend.judge = func(ctx context.Context, a *identity.Attempt) identity.Answer {
			p.Forget() // while it is judged
			return knows("ann")(ctx, a)
		}
		p.Forget()
		asks("forgotten meanwhile", 1, "ann", "secret", session.AuthAccepted)
		asks("not kept", 1, "ann", "secret", session.AuthAccepted)
	})
}

// TestCacheIsBounded keeps no more passwords than it may.
func TestCacheIsBounded(t *testing.T) {
	c := newCache(time.Minute)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 2 * mostCached {
		a := &identity.Attempt{User: fmt.Sprint(i), Secret: []byte("secret")}
		c.keep(a, identity.Answer{Verdict: identity.Accepted, Identity: "ann"}, "ldap", c.find(a))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(c.known) > mostCached {
		t.Errorf("%d are kept", len(c.known))
	}
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 8<<20 {
		t.Errorf("%d bytes", used)
	}
}

// TestTokensAreNotCached asks about a token each time: it may have ended meanwhile.
func TestTokensAreNotCached(t *testing.T) {
	accepted := identity.Answer{Verdict: identity.Accepted, Identity: "ann", Issuer: "https://issuer.example"}
	backend := &fake{name: "oidc-token", tokens: true, judge: says(accepted)}
	p := newPool(t, Options{Sources: []Source{{Backend: backend, Concurrency: 1}}, Attempts: 8, Cache: time.Minute})
	for n := range int64(3) {
		a, home := attempt("ann", "secret", "192.0.2.1")
		a.Mechanism = codec.MechanismOAuthBearer
		p.Begin(a)
		want := session.Answer{Verdict: session.AuthAccepted, Identity: "ann", Backend: "oidc-token", Issuer: "https://issuer.example"}
		if got := (<-home).Answer; got != want || backend.asked.Load() != n+1 {
			t.Errorf("time %d: %+v, asked %d times", n+1, got, backend.asked.Load())
		}
	}
}

// TestDigestIsKeyed has no two processes make the same digest of a password: who reads one
// cannot try out passwords beside it.
func TestDigestIsKeyed(t *testing.T) {
	a, keyless := &identity.Attempt{User: "ann", Secret: []byte("secret")}, cache{}
	if one, other := newCache(time.Minute).digest(a), newCache(time.Minute).digest(a); one == other || one == keyless.digest(a) {
		t.Error("the digest has no key of its own")
	}
}

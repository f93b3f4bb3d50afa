package ldap_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/identity"
)

// binding returns a server's answers: those of a directory with one user, whose bind has
// the result.
func binding(code int, diagnostic string) func(out io.Writer, r request) bool {
	return func(out io.Writer, r request) bool {
		if r.Op.Tag == bindOp {
			write(out, resultOf(r.ID, bound, code, diagnostic))
			return true
		}
		return orderly(out, r)
	}
}

// TestActiveDirectory has the sub-codes of a bind that failed.
func TestActiveDirectory(t *testing.T) {
	for code, want := range map[string]identity.Reason{
		"525": identity.ReasonUnknownUser, "52e": identity.ReasonWrongPassword, "52E": identity.ReasonWrongPassword,
		"530": identity.ReasonNotPermitted, "531": identity.ReasonNotPermitted, "532": identity.ReasonExpired,
		"533": identity.ReasonDisabled, "701": identity.ReasonExpired, "773": identity.ReasonChangePassword,
		"775": identity.ReasonLocked, "568": identity.ReasonRefused,
		"52f": identity.ReasonNotPermitted, "569": identity.ReasonNotPermitted, "51f": identity.ReasonFailing,
		"54f": identity.ReasonFailing, "6ba": identity.ReasonFailing, "": identity.ReasonRefused,
	} {
		diagnostic := fmt.Sprintf("80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data %s, v3839\x00", code)
		got := try(t.Context(), open(t, at(startStandIn(t, binding(49, diagnostic)))), "alice@example.net", "canary")
		verdict := identity.Refused
		switch want {
		case identity.ReasonUnknownUser:
			verdict = identity.Unknown
		case identity.ReasonFailing:
			verdict = identity.Unavailable
		}
		if got.Verdict != verdict || got.Reason != want || !strings.Contains(got.Err.Error(), "data "+code+", v3839") {
			t.Errorf("%s: verdict %d, reason %q, %v", code, got.Verdict, got.Reason, got.Err)
		}
	}
}

// TestCodes has the results of a user's bind, and of a search.
func TestCodes(t *testing.T) {
	for _, test := range []struct {
		code         int
		bind, search identity.Reason
	}{
		{1, identity.ReasonFailing, identity.ReasonFailing},
		{2, identity.ReasonFailing, identity.ReasonMisconfigured},
		{3, identity.ReasonThrottled, identity.ReasonThrottled},
		{8, identity.ReasonMisconfigured, identity.ReasonMisconfigured},
		{10, identity.ReasonMisconfigured, identity.ReasonMisconfigured},
		{11, identity.ReasonThrottled, identity.ReasonThrottled},
		{13, identity.ReasonMisconfigured, identity.ReasonMisconfigured},
		{19, identity.ReasonLocked, identity.ReasonMisconfigured},
		{32, identity.ReasonUnknownUser, identity.ReasonMisconfigured},
		{34, identity.ReasonMisconfigured, identity.ReasonMisconfigured},
		{48, identity.ReasonNotPermitted, identity.ReasonMisconfigured},
		{49, identity.ReasonWrongPassword, identity.ReasonMisconfigured},
		{50, identity.ReasonNotPermitted, identity.ReasonMisconfigured},
		{51, identity.ReasonThrottled, identity.ReasonThrottled},
		{52, identity.ReasonFailing, identity.ReasonFailing},
		{53, identity.ReasonNotPermitted, identity.ReasonMisconfigured},
		{80, identity.ReasonFailing, identity.ReasonFailing},
		{118, identity.ReasonFailing, identity.ReasonMisconfigured},
	} {
		got := try(t.Context(), open(t, at(startStandIn(t, binding(test.code, "why")))), "alice@example.net", "canary")
		unavailable := slices.Contains([]identity.Reason{
			identity.ReasonFailing, identity.ReasonThrottled, identity.ReasonMisconfigured,
		}, test.bind)
		if got.Reason != test.bind || (got.Verdict == identity.Unavailable) != unavailable || !strings.Contains(got.Err.Error(), "why") {
			t.Errorf("bind, %d: verdict %d, reason %q, %v", test.code, got.Verdict, got.Reason, got.Err)
		}
		got = try(t.Context(), open(t, at(startStandIn(t, func(out io.Writer, r request) bool {
			write(out, resultOf(r.ID, done, test.code, "why"))
			return true
		}))), "alice@example.net", "canary")
		if got.Verdict != identity.Unavailable || got.Reason != test.search {
			t.Errorf("search, %d: verdict %d, reason %q, %v", test.code, got.Verdict, got.Reason, got.Err)
		}
	}
	// Active Directory, asked without a bind.
	got := try(t.Context(), open(t, at(startStandIn(t, func(out io.Writer, r request) bool {
		write(out, resultOf(r.ID, done, 1, "000004DC: LdapErr: DSID-0C090CB8, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563"))
		return true
	}))), "alice@example.net", "canary")
	if got.Reason != identity.ReasonMisconfigured {
		t.Errorf("without a bind: reason %q, %v", got.Reason, got.Err)
	}
}

// TestSizeLimit has servers with limits of their own: one entry that is not the only one is
// too many.
func TestSizeLimit(t *testing.T) {
	got := try(t.Context(), open(t, at(startStandIn(t, func(out io.Writer, r request) bool {
		if r.Op.Tag != searchOp {
			return orderly(out, r)
		}
		reference := tlv(0x30, number(2, r.ID), tlv(0x73, tlv(4, []byte("ldap://elsewhere"))))
		write(out, reference, entryOf(r.ID, "cn=alice"), reference, resultOf(r.ID, done, 4, ""))
		return true
	}))), "alice@example.net", "canary")
	if got.Verdict != identity.Refused || got.Reason != identity.ReasonAmbiguous {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
}

// TestNobodyTakesAsMuch compares the requests for a user who exists, one who does not, and
// a name that two have. A password goes to its user's entry alone.
func TestNobodyTakesAsMuch(t *testing.T) {
	for name, entries := range map[string]int{"known": 1, "unknown": 0, "ambiguous": 2} {
		s := startStandIn(t, func(out io.Writer, r request) bool {
			if r.Op.Tag == bindOp {
				if entries != 1 && strings.Contains(string(r.Op.Bytes), "canary") {
					t.Errorf("%s: the password was sent", name)
				}
				write(out, resultOf(r.ID, bound, 49, ""))
				return true
			}
			for i := range entries {
				write(out, entryOf(r.ID, fmt.Sprintf("cn=alice%d", i)))
			}
			write(out, resultOf(r.ID, done, 0, ""))
			return true
		})
		got := try(t.Context(), open(t, at(s)), "alice@example.net", "canary")
		if n := s.count.Load(); n != 2 || got.Verdict == identity.Accepted || got.Verdict == identity.Unavailable {
			t.Errorf("%s: %d requests, verdict %d, reason %q, %v", name, n, got.Verdict, got.Reason, got.Err)
		}
		<-s.names // of the search
		bind := <-s.names
		if entries != 1 && (!strings.HasPrefix(bind, "cn=nobody-") || !strings.HasSuffix(bind, ",dc=example,dc=net")) {
			t.Errorf("%s: bind as %q", name, bind)
		}
	}
}

// TestNobodyTakesAsLong has a directory that hashes slowly, for those who exist.
func TestNobodyTakesAsLong(t *testing.T) {
	const hash = 100 * time.Millisecond
	b := open(t, at(startStandIn(t, func(out io.Writer, r request) bool {
		switch known := strings.Contains(string(r.Op.Bytes), "alice"); {
		case r.Op.Tag == searchOp && known:
			write(out, entryOf(r.ID, "cn=alice"), resultOf(r.ID, done, 0, ""))
		case r.Op.Tag == searchOp:
			write(out, resultOf(r.ID, done, 0, ""))
		case known:
			time.Sleep(hash)
			fallthrough
		default:
			write(out, resultOf(r.ID, bound, 49, ""))
		}
		return true
	})))
	if got := try(t.Context(), b, "alice@example.net", "incorrect"); got.Verdict != identity.Refused {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
	began := time.Now()
	got := try(t.Context(), b, "mallory@example.net", "incorrect")
	if took := time.Since(began); got.Verdict != identity.Unknown || took < hash {
		t.Errorf("after %v: verdict %d, reason %q, %v", took, got.Verdict, got.Reason, got.Err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hash/2)
	defer cancel()
	if got := try(ctx, b, "mallory@example.net", "incorrect"); got.Reason != identity.ReasonTimeout {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
}

// TestNobodyIsNotJudged has a directory that is in trouble, or accepts anybody, when nobody
// is bound.
func TestNobodyIsNotJudged(t *testing.T) {
	for code, want := range map[int]identity.Verdict{0: identity.Unknown, 32: identity.Unknown, 52: identity.Unavailable} {
		got := try(t.Context(), open(t, at(startStandIn(t, func(out io.Writer, r request) bool {
			if r.Op.Tag == searchOp {
				write(out, resultOf(r.ID, done, 0, ""))
				return true
			}
			return binding(code, "")(out, r)
		}))), "mallory@example.net", "canary")
		if got.Verdict != want {
			t.Errorf("%d: verdict %d, reason %q, %v", code, got.Verdict, got.Reason, got.Err)
		}
	}
}

// TestEmptyPassword never reaches a server, which would accept it.
func TestEmptyPassword(t *testing.T) {
	s := startStandIn(t, orderly)
	b := open(t, at(s))
	for _, a := range []identity.Attempt{{User: "alice@example.net"}, {Secret: []byte("x")}, {User: "a", Secret: []byte("x"), Token: true}} {
		if got := b.Authenticate(t.Context(), &a); got.Verdict != identity.Refused || s.count.Load() != 0 {
			t.Errorf("verdict %d, reason %q, %d requests", got.Verdict, got.Reason, s.count.Load())
		}
	}
}

// TestSecretInDiagnostic has a server that repeats what it was told.
func TestSecretInDiagnostic(t *testing.T) {
	const long = "no such luck\x00\r\nwith\x1b[31m colour \xff"
	for _, diagnostic := range []string{"wrong: canary", long + strings.Repeat("x", 300)} {
		got := try(t.Context(), open(t, at(startStandIn(t, binding(49, diagnostic)))), "alice@example.net", "canary")
		text := got.Err.Error()
		if strings.Contains(text, "canary") || len(text) > 300 || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError }) {
			t.Errorf("%q", text)
		}
	}
}

// TestKeptConnections counts the connections for attempts in turn and at the same time, and
// tries kept ones that the server has closed since, or on which it has said something.
func TestKeptConnections(t *testing.T) {
	var closing sync.Map // after this many requests on a connection
	s := startStandIn(t, func(out io.Writer, r request) bool {
		orderly(out, r)
		if _, twice := closing.Load("twice"); twice {
			write(out, resultOf(r.ID, bound, 0, ""))
		}
		_, now := closing.Load("now")
		return !now
	})
	b := open(t, at(s))
	accept := func(what string) {
		t.Helper()
		if got := try(t.Context(), b, "alice@example.net", "canary"); got.Verdict != identity.Accepted {
			t.Errorf("%s: verdict %d, reason %q, %v", what, got.Verdict, got.Reason, got.Err)
		}
	}
	for range 10 {
		accept("in turn")
	}
	if n := s.open.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
	var all sync.WaitGroup
	for range 30 {
		all.Add(1)
		go func() {
			defer all.Done()
			accept("at the same time")
		}()
	}
	all.Wait()
	if n := s.open.Load(); n > 60 {
		t.Errorf("%d connections", n)
	}
	closing.Store("now", true)
	for range 10 {
		accept("closed after each answer")
	}
	closing.Delete("now")
	closing.Store("twice", true)
	for range 10 {
		accept("answered twice")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	s.allClosed(t)
}

// TestFailover has several servers: one that is gone, one that is silent, and one that
// serves.
func TestFailover(t *testing.T) {
	hold := make(chan bool)
	silent := startStandIn(t, func(io.Writer, request) bool { <-hold; return false })
	defer close(hold)
	s := startStandIn(t, orderly)
	o := at(s)
	o.URL = "ldap://127.0.0.1:1 " + o.URL
	b := open(t, o)
	if got := try(t.Context(), b, "alice@example.net", "canary"); got.Verdict != identity.Accepted {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
	// A silent one takes one attempt with it; the next goes on to the other.
	o.URL = "ldap://" + silent.address + " ldap://" + s.address
	b = open(t, o)
	for i, want := range []identity.Verdict{identity.Unavailable, identity.Accepted, identity.Accepted} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if i == 0 {
			ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
		}
		got := try(ctx, b, "alice@example.net", "canary")
		cancel()
		if got.Verdict != want {
			t.Errorf("attempt %d: verdict %d, reason %q, %v", i, got.Verdict, got.Reason, got.Err)
		}
	}
	// A password that one server refuses is not tried at the next.
	refusing := startStandIn(t, binding(49, ""))
	refused := o
	refused.URL = "ldap://" + refusing.address + " ldap://" + s.address
	refused.BindDN, refused.BindPasswordFile = "cn=sluice,dc=example,dc=net", secretFile(t, "old")
	before := s.count.Load()
	if got := try(t.Context(), open(t, refused), "alice@example.net", "canary"); got.Reason != identity.ReasonMisconfigured {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
	if n, m := refusing.count.Load(), s.count.Load()-before; n != 1 || m != 0 {
		t.Errorf("%d and %d requests", n, m)
	}
	// None can be reached.
	o.URL = "ldap://127.0.0.1:1 ldap://127.0.0.1:2"
	got := try(t.Context(), open(t, o), "alice@example.net", "canary")
	if got.Reason != identity.ReasonUnreachable || !strings.Contains(got.Err.Error(), ":1: ") || !strings.Contains(got.Err.Error(), ":2: ") {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
}

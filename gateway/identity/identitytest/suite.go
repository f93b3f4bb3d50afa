// Package identitytest is the conformance suite of identity.Backend.
package identitytest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/internal/panics"
)

// Subject is a backend and users that it knows.
type Subject struct {
	Backend  identity.Backend
	User     string // whom it accepts with Secret
	Secret   string
	Identity string // as which it accepts User
	Wrong    string // a secret that is refused
	Stranger string // whom it does not know
	// StrangerSecret is the secret with which Stranger comes; Secret if it is empty.
	StrangerSecret string
	// StrangerVerdict is Unknown, or Refused for a backend that cannot tell.
	StrangerVerdict identity.Verdict
}

// mechanism returns the one that fits a backend.
func (s *Subject) mechanism() string {
	if s.Backend.Tokens() {
		return "XOAUTH2"
	}
	return "PLAIN"
}

// try makes an attempt.
func (s *Subject) try(ctx context.Context, user, secret string) identity.Answer {
	a := identity.Attempt{
		Mechanism: s.mechanism(), User: user, Secret: []byte(secret), Token: s.Backend.Tokens(),
		Client: netip.MustParseAddr("192.0.2.1"),
	}
	return s.Backend.Authenticate(ctx, &a)
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	stranger := s.StrangerSecret
	if stranger == "" {
		stranger = s.Secret
	}
	for _, test := range []struct {
		name, user, secret string
		verdict            identity.Verdict
	}{
		{"accepted", s.User, s.Secret, identity.Accepted},
		{"accepted again", s.User, s.Secret, identity.Accepted},
		{"wrong secret", s.User, s.Wrong, identity.Refused},
		{"stranger", s.Stranger, stranger, s.StrangerVerdict},
		{"the longest name", strings.Repeat("é", identity.MaxUser/2), stranger, s.StrangerVerdict},
		{"a name of a filter", "*)(uid=*", stranger, s.StrangerVerdict},
		{"a name with a line break", "a\r\nb: c", stranger, s.StrangerVerdict},
		{"the longest secret", s.User, strings.Repeat("s", identity.MaxSecret), identity.Refused},
		{"a secret of any bytes", s.User, "\xff\xfe\r\n\x01", identity.Refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := s.try(t.Context(), test.user, test.secret)
			if got.Verdict != test.verdict {
				t.Fatalf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
			}
			s.check(t, got, test.secret)
		})
	}
	t.Run("ended context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		got := s.try(ctx, s.User, s.Secret)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if got.Verdict == identity.Accepted { // it was quick
			return
		}
		if got.Verdict != identity.Unavailable || got.Reason != identity.ReasonTimeout {
			t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
		}
	})
	t.Run("at the same time", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Add(1)
			go panics.Keep(panics.Identity, func() {
				defer all.Done()
				secret, want := s.Secret, identity.Accepted
				if i%2 == 1 {
					secret, want = s.Wrong, identity.Refused
				}
				if got := s.try(t.Context(), s.User, secret); got.Verdict != want {
					t.Errorf("verdict %d, not %d: reason %q, %v", got.Verdict, want, got.Reason, got.Err)
				}
			})
		}
		all.Wait()
	})
}

// check checks what holds for every answer.
func (s *Subject) check(t *testing.T, got identity.Answer, secret string) {
	t.Helper()
	if got.Verdict == identity.Accepted {
		if got.Identity != s.Identity || got.Reason != "" || got.Err != nil {
			t.Errorf("accepted as %q, reason %q, %v", got.Identity, got.Reason, got.Err)
		}
		return
	}
	if got.Identity != "" || !slices.Contains(identity.Reasons(), got.Reason) {
		t.Errorf("identity %q, reason %q", got.Identity, got.Reason)
	}
	if text := fmt.Sprintf("%v %+v", got.Err, got); strings.Contains(text, secret) {
		t.Errorf("the answer has the secret: %s", text)
	}
}

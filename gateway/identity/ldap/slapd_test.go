package ldap_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/identity/identitytest"
	"sluice/gateway/identity/ldap"
	"sluice/internal/testkit"
	"sluice/loadtest/stack"
)

// directory has the entries of the tests. All have the password "right".
const directory = `dn: cn=sluice,dc=example,dc=net
objectClass: organizationalRole
objectClass: simpleSecurityObject
userPassword: of the service

dn: cn=policy,dc=example,dc=net
objectClass: device
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMustChange: TRUE

dn: cn=short,dc=example,dc=net
objectClass: device
objectClass: pwdPolicy
pwdAttribute: userPassword
pwdMaxAge: 60

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit

`

// users are the user names of people, each with what its entry has beside the usual.
var users = []struct{ uid, mail, more string }{
	{"alice", "Alice@example.net", ""},
	{"bob", "bob@example.net", "mail: robert@example.net\n"},
	{"twin1", "twin@example.net", ""},
	{"twin2", "twin@example.net", ""},
	{"locked", "locked@example.net", "pwdAccountLockedTime: 000001010000Z\n"},
	{"reset", "reset@example.net", "pwdReset: TRUE\n"},
	{"expired", "expired@example.net", "pwdPolicySubentry: cn=short,dc=example,dc=net\npwdChangedTime: 20200101000000Z\n"},
	{"retired", "retired@example.net", "title: retired\n"},
}

func ldif() string {
	var b strings.Builder
	b.WriteString(directory)
	for _, u := range users {
		b.WriteString("dn: uid=" + u.uid + ",ou=people,dc=example,dc=net\nobjectClass: inetOrgPerson\nuid: " + u.uid +
			"\ncn: " + u.uid + "\nsn: " + u.uid + "\nmail: " + u.mail + "\nuserPassword: right\n" + u.more + "\n")
	}
	return b.String()
}

// startSlapd starts a directory with the users, and returns options for a search over
// LDAPS there.
func startSlapd(t *testing.T) (*stack.SlapdServer, ldap.Options) {
	t.Helper()
	s := stack.Slapd(t, stack.SlapdSettings{
		LDIF:   ldif(),
		Config: "overlay ppolicy\nppolicy_default cn=policy,dc=example,dc=net\nppolicy_use_lockout\n",
	})
	return s, ldap.Options{
		URL: "ldaps://" + s.TLSAddress, CAFile: s.CAFile,
		BaseDN: "ou=people,dc=example,dc=net", Filter: "(mail=%s)",
		BindDN: "cn=sluice,dc=example,dc=net", BindPasswordFile: secretFile(t, "of the service\n"),
	}
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func open(t *testing.T, o ldap.Options) *ldap.Backend {
	t.Helper()
	b, err := ldap.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func try(ctx context.Context, b *ldap.Backend, user, secret string) identity.Answer {
	return b.Authenticate(ctx, &identity.Attempt{
		Mechanism: "PLAIN", User: user, Secret: []byte(secret), Client: netip.MustParseAddr("192.0.2.1"),
	})
}

// TestSlapd tries what a real directory answers.
func TestSlapd(t *testing.T) {
	s, search := startSlapd(t)
	t.Run("conformance", func(t *testing.T) { checkConformance(t, s, search) })
	t.Run("reasons", func(t *testing.T) { checkReasons(t, search) })
	t.Run("names", func(t *testing.T) { checkNames(t, search) })
	t.Run("identities", func(t *testing.T) { checkIdentities(t, search) })
	t.Run("misconfigured", func(t *testing.T) { checkMisconfigured(t, s, search) })
	t.Run("password file", func(t *testing.T) { checkPasswordFile(t, search) })
	t.Run("restart", func(t *testing.T) { checkRestart(t, s, search) })
	t.Run("silence", func(t *testing.T) { checkSilence(t, s, search) })
}

func checkConformance(t *testing.T, s *stack.SlapdServer, search ldap.Options) {
	plain := search
	plain.URL, plain.CAFile = "ldap://"+s.Address, ""
	startTLS := search
	startTLS.URL, startTLS.StartTLS = plain.URL, true
	anonymous := search
	anonymous.BindDN, anonymous.BindPasswordFile = "", ""
	subject := identitytest.Subject{
		User: "alice@Example.NET", Identity: "alice@example.net", Stranger: "mallory@example.net",
		Secret: "right", Wrong: "incorrect", StrangerVerdict: identity.Unknown,
	}
	for name, o := range map[string]ldap.Options{
		"plain": plain, "starttls": startTLS, "ldaps": search, "anonymous": anonymous,
	} {
		t.Run(name, func(t *testing.T) {
			subject := subject
			subject.Backend = open(t, o)
			identitytest.Run(t, subject)
		})
	}
	t.Run("direct", func(t *testing.T) {
		identitytest.Run(t, identitytest.Subject{
			Backend: open(t, ldap.Options{
				URL: "ldaps://" + s.TLSAddress, CAFile: s.CAFile, UserDN: "uid=%s,ou=people,dc=example,dc=net",
			}),
			User: "Alice", Identity: "alice", Stranger: "mallory", Secret: "right", Wrong: "incorrect",
			StrangerVerdict: identity.Refused, // a bind alone cannot tell
		})
	})
}

func checkReasons(t *testing.T, search ldap.Options) {
	search.Filter = "(&(uid=%s)(!(title=retired)))"
	b := open(t, search)
	for _, test := range []struct {
		user, secret string
		verdict      identity.Verdict
		reason       identity.Reason
	}{
		{"alice", "wrong", identity.Refused, identity.ReasonWrongPassword},
		{"locked", "right", identity.Refused, identity.ReasonLocked},
		{"reset", "right", identity.Refused, identity.ReasonChangePassword},
		{"reset", "wrong", identity.Refused, identity.ReasonWrongPassword},
		{"expired", "right", identity.Refused, identity.ReasonExpired},
		{"retired", "right", identity.Unknown, identity.ReasonUnknownUser},
		{"alice\\", "right", identity.Unknown, identity.ReasonUnknownUser},
		{"*", "right", identity.Unknown, identity.ReasonUnknownUser},
		{"a*", "right", identity.Unknown, identity.ReasonUnknownUser},
		{"alice)(uid=bob", "right", identity.Unknown, identity.ReasonUnknownUser},
		{"%s", "right", identity.Unknown, identity.ReasonUnknownUser},
	} {
		got := try(t.Context(), b, test.user, test.secret)
		if got.Verdict != test.verdict || got.Reason != test.reason || got.Err == nil {
			t.Errorf("%s, %s: verdict %d, reason %q, %v", test.user, test.secret, got.Verdict, got.Reason, got.Err)
		}
	}
}

// checkNames makes attempts with names that are none of an entry, which is not user_dn's fault.
func checkNames(t *testing.T, search ldap.Options) {
	b := open(t, ldap.Options{URL: search.URL, CAFile: search.CAFile, UserDN: "mail=%s,ou=people,dc=example,dc=net"})
	for user, want := range map[string]identity.Verdict{
		"é@example.net": identity.Unknown, // an address has no letters beyond ASCII here
		"mallory":       identity.Refused, "mallory,ou=people": identity.Refused, "a+uid=alice": identity.Refused,
	} {
		if got := try(t.Context(), b, user, "right"); got.Verdict != want {
			t.Errorf("%s: verdict %d, reason %q, %v", user, got.Verdict, got.Reason, got.Err)
		}
	}
}

func checkIdentities(t *testing.T, search ldap.Options) {
	search.Filter, search.IdentityAttribute = "(|(uid=%s)(mail=%s))", "MAIL"
	byMail := open(t, search)
	search.IdentityAttribute = "telephoneNumber" // nobody has one
	byNumber := open(t, search)
	for _, test := range []struct {
		backend *ldap.Backend
		user    string
		who     string
		reason  identity.Reason
	}{
		{byMail, "ALICE", "alice@example.net", ""},
		{byMail, "Robert@Example.Net", "robert@example.net", ""},
		{byMail, "bob", "", identity.ReasonAmbiguous}, // two addresses, neither of them claimed
		{byMail, "twin@example.net", "", identity.ReasonAmbiguous},
		{byMail, "twin1", "twin@example.net", ""},
		{byNumber, "alice", "", identity.ReasonNotPermitted},
	} {
		got := try(t.Context(), test.backend, test.user, "right")
		if got.Identity != test.who || got.Reason != test.reason || (got.Verdict == identity.Accepted) != (test.who != "") {
			t.Errorf("%s: verdict %d as %q, reason %q, %v", test.user, got.Verdict, got.Identity, got.Reason, got.Err)
		}
		if got := try(t.Context(), test.backend, test.user, "wrong"); got.Verdict != identity.Refused {
			t.Errorf("%s with a wrong password: verdict %d, reason %q, %v", test.user, got.Verdict, got.Reason, got.Err)
		}
	}
}

func checkMisconfigured(t *testing.T, s *stack.SlapdServer, search ldap.Options) {
	for name, change := range map[string]func(*ldap.Options){
		"the service's password": func(o *ldap.Options) { o.BindPasswordFile = secretFile(t, "wrong") },
		"bind_dn":                func(o *ldap.Options) { o.BindDN = "cn=nobody,dc=example,dc=net" },
		"base_dn":                func(o *ldap.Options) { o.BaseDN = "ou=nowhere,dc=example,dc=net" },
		"another's base_dn":      func(o *ldap.Options) { o.BaseDN = "dc=example,dc=org" },
		"an unknown authority":   func(o *ldap.Options) { o.CAFile = "" },
		"an unknown authority, StartTLS": func(o *ldap.Options) {
			o.CAFile, o.URL, o.StartTLS = "", "ldap://"+s.Address, true
		},
		"another address": func(o *ldap.Options) { o.URL = strings.Replace(o.URL, "127.0.0.1", "127.0.0.2", 1) },
		"user_dn": func(o *ldap.Options) {
			*o = ldap.Options{URL: o.URL, CAFile: o.CAFile, UserDN: "noSuchAttribute=%s,dc=example,dc=net"}
		},
		"no TLS there": func(o *ldap.Options) { o.URL = "ldaps://" + s.Address },
	} {
		o := search
		change(&o)
		got := try(t.Context(), open(t, o), "alice@example.net", "right")
		want := identity.ReasonMisconfigured
		if name == "another address" || name == "no TLS there" {
			want = identity.ReasonUnreachable // nobody listens; slapd hangs up
		}
		if got.Verdict != identity.Unavailable || got.Reason != want || got.Err == nil {
			t.Errorf("%s: verdict %d, reason %q, %v", name, got.Verdict, got.Reason, got.Err)
		}
		t.Logf("%s: %v", name, got.Err)
	}
}

// checkPasswordFile changes the file with the service's password: the next connection has
// the new one.
func checkPasswordFile(t *testing.T, search ldap.Options) {
	search.BindPasswordFile = secretFile(t, "old")
	b := open(t, search)
	if got := try(t.Context(), b, "alice@example.net", "right"); got.Reason != identity.ReasonMisconfigured || got.RetryAfter == 0 {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
	if err := os.WriteFile(search.BindPasswordFile, []byte("of the service"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := try(t.Context(), b, "alice@example.net", "right"); got.Verdict != identity.Accepted {
		t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
}

// checkRestart restarts the server under load, asked and killed. Nobody is told that a
// right password is wrong, or that a user does not exist.
func checkRestart(t *testing.T, s *stack.SlapdServer, search ldap.Options) {
	b := open(t, search)
	ctx, stop := context.WithCancel(t.Context())
	var counts [identity.Accepted + 1]atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for ctx.Err() == nil {
				got := try(t.Context(), b, "alice@example.net", "right")
				counts[got.Verdict].Add(1)
				if got.Verdict == identity.Unavailable {
					time.Sleep(5 * time.Millisecond) // as a client would
				} else if got.Verdict != identity.Accepted {
					t.Errorf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
				}
			}
		}()
	}
	for _, end := range []func() error{s.Stop, s.Kill, s.Stop} {
		before := counts[identity.Accepted].Load()
		testkit.Eventually(t, "attempts are accepted", func() bool { return counts[identity.Accepted].Load() > before+50 })
		if err := end(); err != nil {
			t.Fatal(err)
		}
		away := counts[identity.Unavailable].Load()
		testkit.Eventually(t, "it is missed", func() bool { return counts[identity.Unavailable].Load() > away+8 })
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	before := counts[identity.Accepted].Load()
	testkit.Eventually(t, "attempts are accepted again", func() bool { return counts[identity.Accepted].Load() > before+50 })
	stop()
	all.Wait()
	t.Logf("%d accepted, %d unavailable", counts[identity.Accepted].Load(), counts[identity.Unavailable].Load())
}

// checkSilence stops the server while connections to it are kept.
func checkSilence(t *testing.T, s *stack.SlapdServer, search ldap.Options) {
	b := open(t, search)
	if got := try(t.Context(), b, "alice@example.net", "right"); got.Verdict != identity.Accepted {
		t.Fatalf("verdict %d, reason %q, %v", got.Verdict, got.Reason, got.Err)
	}
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"kept connections", "new ones"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		got := try(ctx, b, "alice@example.net", "right")
		cancel()
		if got.Verdict != identity.Unavailable || got.Reason != identity.ReasonTimeout {
			t.Errorf("%s: verdict %d, reason %q, %v", what, got.Verdict, got.Reason, got.Err)
		}
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it answers again", func() bool {
		return try(t.Context(), b, "alice@example.net", "right").Verdict == identity.Accepted
	})
}

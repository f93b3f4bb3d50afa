package spf_test

import (
	"testing"
	"time"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/spf"
	"sluice/loadtest/stack"
)

// Verdicts with a real resolver: names that do not exist, no records of a type, wildcards,
// and a zone that nobody answers for.
func TestUnbound(t *testing.T) {
	unbound := stack.Unbound(t, `
  local-zone: "d.test." static
  local-data: 'd.test. 300 IN TXT "v=spf1 mx:gone.d.test a:mx.d.test/32 include:x.wild.test" " -all"'
  local-data: 'mx.d.test. 300 IN AAAA 2001:db8::3'
  local-zone: "wild.test." redirect
  local-data: 'wild.test. 300 IN TXT "v=spf1 ip4:192.0.2.3 -all"'
  local-zone: "refused.test." always_refuse
  local-zone: "lost.test." always_deny
`, "127.0.0.1:1")
	r, err := resolver.New(resolver.Options{Servers: []string{unbound.Address}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for sender, want := range map[string]spf.Result{
		"user@d.test": spf.Pass, "user@gone.d.test": spf.None, "user@mx.d.test": spf.None, "user@any.wild.test": spf.Pass,
		"user@refused.test": spf.TempError, "user@lost.test": spf.TempError,
	} {
		q := vector{}.claim()
		q.Sender = sender
		if got := spf.Check(t.Context(), r.Lookups(resolver.DefaultLookups), q); got.Result != want {
			t.Errorf("%s: %+v, want %s", sender, got, want)
		}
	}
}

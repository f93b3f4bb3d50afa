package ldap_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/identity"
	"sluice/gateway/identity/ldap"
	"sluice/loadtest/stack"
)

// BenchmarkUsers measures how long attempts with a wrong password take for a user who
// exists and for one who does not, in turn, in directories that hash fast and slowly.
func BenchmarkUsers(b *testing.B) {
	for _, scheme := range []string{"{SSHA}", "{ARGON2}"} {
		hashed, err := exec.Command("slappasswd", "-o", "module-load=argon2", "-h", scheme, "-s", "right").Output()
		if err != nil {
			b.Fatal(err)
		}
		s := stack.Slapd(b, stack.SlapdSettings{
			LDIF:   strings.ReplaceAll(ldif(), "userPassword: right", "userPassword: "+strings.TrimSpace(string(hashed))),
			Config: "overlay ppolicy\n",
		})
		backend, err := ldap.Open(ldap.Options{URL: "ldap://" + s.Address, BaseDN: stack.SlapdBase, Filter: "(mail=%s)"})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.Trim(scheme, "{}"), func(b *testing.B) {
			var known, unknown []time.Duration
			for b.Loop() {
				for i, user := range []string{"alice@example.net", "mallo@example.net"} {
					began := time.Now()
					got := try(b.Context(), backend, user, "incorrect")
					took := time.Since(began)
					switch {
					case i == 0 && got.Verdict == identity.Refused:
						known = append(known, took)
					case i == 1 && got.Verdict == identity.Unknown:
						unknown = append(unknown, took)
					default:
						b.Fatalf("%s: verdict %d, reason %q, %v", user, got.Verdict, got.Reason, got.Err)
					}
				}
			}
			for name, times := range map[string][]time.Duration{"known": known, "unknown": unknown} {
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/4].Microseconds()), name+"-p25-µs")
				b.ReportMetric(float64(times[len(times)/2].Microseconds()), name+"-p50-µs")
				b.ReportMetric(float64(times[len(times)*3/4].Microseconds()), name+"-p75-µs")
			}
		})
		if err := backend.Close(); err != nil {
			b.Error(err)
		}
	}
}

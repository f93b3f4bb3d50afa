package verify

import (
	"testing"

	"sluice/gateway/verify/dmarc"
	"sluice/gateway/verify/iprev"
	"sluice/gateway/verify/spf"
	"sluice/pipeline"
)

// TestEveryPolicy goes through every policy and every outcome of SPF and DMARC, and compares
// the decision with a table of what applies.
func TestEveryPolicy(t *testing.T) {
	type judged struct {
		verdict   dmarc.Verdict
		published dmarc.Policy
		policy    dmarc.Policy // under t=y
	}
	all := []judged{
		{verdict: dmarc.NoPolicy}, {verdict: dmarc.TempError}, {verdict: dmarc.PermError},
		{verdict: dmarc.Pass, published: dmarc.Reject, policy: dmarc.Reject},
		{verdict: dmarc.Fail}, {verdict: dmarc.Fail, published: dmarc.Quarantine},
		{verdict: dmarc.Fail, published: dmarc.Quarantine, policy: dmarc.Quarantine},
		{verdict: dmarc.Fail, published: dmarc.Reject, policy: dmarc.Quarantine},
		{verdict: dmarc.Fail, published: dmarc.Reject, policy: dmarc.Reject},
	}
	var policies []Policy
	for _, a := range Actions() {
		for _, b := range Actions() {
			for _, c := range Actions() {
				for _, d := range Actions() {
					for _, e := range Actions() {
						policies = append(policies, Policy{a, b, c, d, e})
					}
				}
			}
		}
	}
	rank := map[Action]int{Accept: 0, Quarantine: 1, Defer: 2, Reject: 3}
	for _, result := range spf.Results() {
		for _, j := range all {
			for _, exempt := range []bool{false, true} {
				for i := range policies {
					if exempt && i%7 > 0 {
						continue // a sample will do
					}
					p := &policies[i]
					e := &Evaluation{
						options: &Options{Policy: *p}, spf: &spf.Verdict{Result: result}, helo: &spf.Verdict{}, name: &iprev.Verdict{},
						headerRead: true, from: "example.com",
					}
					e.dmarc = dmarc.Result{Verdict: j.verdict, Published: j.published, Policy: j.policy}
					if j.verdict >= dmarc.Pass && j.verdict <= dmarc.Fail {
						e.dmarc.RecordDomain = "example.com"
					}
					if exempt {
						e.options.Exempt = []string{"*.example.net"}
						e.helo = &spf.Verdict{Result: spf.Pass, Domain: "Mx.example.net"}
					}
					applies := map[string]Action{}
					if j.verdict == dmarc.PermError {
						applies["bad_from"] = p.BadFrom
					}
					if !exempt {
						if j.verdict == dmarc.Fail && j.policy == dmarc.Reject {
							applies["dmarc_reject"] = p.DMARCReject
						}
						if j.verdict == dmarc.Fail && j.policy == dmarc.Quarantine {
							applies["dmarc_quarantine"] = p.DMARCQuarantine
						}
						if result == spf.Fail {
							applies["spf_fail"] = p.SPFFail
						}
						if j.verdict == dmarc.TempError || result == spf.TempError && j.verdict != dmarc.Pass {
							applies["temperror"] = p.TempError
						}
					}
					want := Accept
					for _, a := range applies {
						if rank[a] > rank[want] {
							want = a
						}
					}
					d := e.decide()
					if d.action != want || (d.cause == "") != (want == Accept) || d.cause != "" && applies[d.cause] != want {
						t.Fatalf("SPF %s, DMARC %+v, exempt %t under %+v: %+v, want %s", result, j, exempt, *p, d, want)
					}
					checkDecision(t, e, d, j.published)
				}
			}
		}
	}
}

// checkDecision checks the refusal of a decision, and what the event says of DMARC.
func checkDecision(t *testing.T, e *Evaluation, d decision, published dmarc.Policy) {
	t.Helper()
	err := e.refusal(d)
	want := pipeline.KindNone
	switch {
	case d.action == Defer && d.cause == "temperror" && e.spf.Result == spf.TempError:
		want = pipeline.KindSPFError
	case d.action == Defer:
		want = pipeline.KindUnverified
	case d.action == Reject && d.cause == "spf_fail":
		want = pipeline.KindSPF
	case d.action == Reject && (d.cause == "dmarc_reject" || d.cause == "dmarc_quarantine"):
		want = pipeline.KindDMARC
	case d.action == Reject:
		want = pipeline.KindPolicy
	}
	if pipeline.KindOf(err) != want || (pipeline.Told(err) == "example.com") != (want == pipeline.KindDMARC) {
		t.Fatalf("%+v: %v", d, err)
	}
	v := e.dmarcVerdict(d)
	differs := e.dmarc.Verdict == dmarc.Fail && v.Disposition != published.String()
	if (v.Override != "") != differs || e.dmarc.Verdict != dmarc.Fail && v.Disposition != "none" {
		t.Fatalf("%+v, published %s: %+v", d, published, v)
	}
	if differs && d.exempt != (v.Override == "trusted_forwarder") {
		t.Fatalf("%+v, published %s: %+v", d, published, v)
	}
}

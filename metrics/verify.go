package metrics

import "github.com/prometheus/client_golang/prometheus"

// verified has the collectors of verification: the results by check, then by result.
type verified struct {
	results      byLabel[byLabel[prometheus.Counter]]
	dispositions byLabel[prometheus.Counter]
	overdue      prometheus.Counter
	forged       prometheus.Counter
}

// Checks are what a message is verified by, as the label check has them.
var checks = []string{"spf", "dkim", "dmarc", "iprev"}

func (m *Metrics) addVerify(labels Labels) {
	vec := m.counterVec("sluice_verify_results_total",
		"Verdicts on messages, by check (spf, dkim for each signature, dmarc, iprev) and result (RFC 8601 §2.7).",
		"check", "result")
	m.verified.results = newByLabel(checks, func(check string) byLabel[prometheus.Counter] {
		return newByLabel(labels.VerifyResults, func(result string) prometheus.Counter { return vec.WithLabelValues(check, result) })
	})
	m.verified.dispositions = m.counters("sluice_verify_dispositions_total",
		"Messages that were verified, by what verify.policy makes of them.",
		"disposition", labels.Dispositions)
	m.verified.overdue = m.counter("sluice_verify_overdue_total",
		"Messages for which an answer of the DNS did not come within verify.deadline.")
	m.verified.forged = m.counter("sluice_verify_forged_fields_total",
		"Fields Authentication-Results in our name that came with messages and were renamed.")
}

// Checked counts the result of a check of a message.
func (m *Metrics) Checked(check, result string) {
	results := m.verified.results.at(check)
	results.at(result).Inc()
}

// Disposed counts a message by what is made of it.
func (m *Metrics) Disposed(disposition string) { m.verified.dispositions.at(disposition).Inc() }

// VerifyOverdue counts a message whose verification had too little time.
func (m *Metrics) VerifyOverdue() { m.verified.overdue.Inc() }

// FieldsForged counts fields that were renamed.
func (m *Metrics) FieldsForged(n int) { m.verified.forged.Add(float64(n)) }

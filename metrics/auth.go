package metrics

import "github.com/prometheus/client_golang/prometheus"

// nobody is the backend of attempts that none has judged.
const nobody = "none"

// attempts holds the counters of sluice_auth_attempts_total by backend, then by result.
type attempts struct {
	byBackend byLabel[byLabel[prometheus.Counter]]
}

func (m *Metrics) addAuth(labels Labels) {
	backends := append([]string{nobody}, labels.AuthBackends...)
	results := append([]string{Accepted}, labels.AuthReasons...)
	vec := m.counterVec("sluice_auth_attempts_total",
		"Attempts to authenticate that were answered, by backend (none where none was asked) and result: accepted, or why not.",
		"backend", "result")
	m.attempts.byBackend = newByLabel(backends, func(backend string) byLabel[prometheus.Counter] {
		return newByLabel(results, func(result string) prometheus.Counter { return vec.WithLabelValues(backend, result) })
	})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sluice_auth_duration_seconds", Help: "Time that a backend took for its verdict on an attempt to authenticate.", Buckets: stageBuckets,
	}, []string{"backend"})
	m.registry.MustRegister(duration)
	m.authDuration = make(map[string]prometheus.Observer)
	for _, backend := range labels.AuthBackends {
		m.authDuration[backend] = duration.WithLabelValues(backend)
	}
}

// Authenticated counts an attempt to authenticate. reason is why it was not accepted.
func (m *Metrics) Authenticated(backend, reason string) {
	if backend == "" {
		backend = nobody
	}
	if reason == "" {
		reason = Accepted
	}
	results := m.attempts.byBackend.at(backend)
	results.at(reason).Inc()
}

// AuthJudged observes the time that a backend took for its verdict.
func (m *Metrics) AuthJudged(backend string, seconds float64) {
	if observer := m.authDuration[backend]; observer != nil {
		observer.Observe(seconds)
	}
}

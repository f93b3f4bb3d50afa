package metrics

import "github.com/prometheus/client_golang/prometheus"

// lookups holds the counters of sluice_dns_lookups_total by type of record, then by outcome.
type lookups struct {
	byType   byLabel[byLabel[prometheus.Counter]]
	hits     prometheus.Counter
	duration prometheus.Histogram
}

func (m *Metrics) addDNS(labels Labels) {
	vec := m.counterVec("sluice_dns_lookups_total",
		"Lookups in the DNS for the verification of mail, from the cache too, by type of record and outcome: found, nodata and nxdomain are answers, the others are failures.",
		"type", "outcome")
	m.lookups.byType = newByLabel(labels.DNSTypes, func(recordType string) byLabel[prometheus.Counter] {
		return newByLabel(labels.DNSOutcomes, func(outcome string) prometheus.Counter { return vec.WithLabelValues(recordType, outcome) })
	})
	m.lookups.hits = m.counter("sluice_dns_cache_hits_total",
		"Lookups in the DNS that the cache answered.")
	m.lookups.duration = m.histogram("sluice_dns_duration_seconds",
		"Time of the lookups in the DNS that asked a server, over all attempts.", dnsBuckets)
}

// LookedUp counts a lookup in the DNS that has ended. hit reports whether the cache had the
// answer. seconds is how long servers took, negative if none was asked.
func (m *Metrics) LookedUp(recordType, outcome string, hit bool, seconds float64) {
	outcomes := m.lookups.byType.at(recordType)
	outcomes.at(outcome).Inc()
	if hit {
		m.lookups.hits.Inc()
	}
	if seconds >= 0 {
		m.lookups.duration.Observe(seconds)
	}
}

package metrics

import "github.com/prometheus/client_golang/prometheus"

func (m *Metrics) addTLS(labels Labels) {
	m.tlsHandshakes = m.counters("sluice_tls_handshakes_total",
		"TLS handshakes that succeeded, by version.", "version", labels.TLSVersions)
	m.tlsResumed = m.counter("sluice_tls_resumed_total",
		"TLS handshakes that resumed an earlier session, which costs no signature.")
	m.tlsFailures = m.counters("sluice_tls_failures_total",
		"Connections closed because TLS failed, by cause.", "cause", labels.TLSCauses)
	m.tlsReloads = m.counters("sluice_tls_file_reloads_total",
		"Files of the section tls that had changed and were read anew, by result: ok, or why what was read before stays in use.",
		"result", labels.TLSReloadResults)
}

// TLSDone counts a TLS handshake that succeeded.
func (m *Metrics) TLSDone(version string, resumed bool) {
	m.tlsHandshakes.at(version).Inc()
	if resumed {
		m.tlsResumed.Inc()
	}
}

// TLSFailed counts a connection whose TLS failed.
func (m *Metrics) TLSFailed(cause string) { m.tlsFailures.at(cause).Inc() }

// TLSFileReloaded counts a file of the section tls, or the two of a pair, that was read
// anew.
func (m *Metrics) TLSFileReloaded(result string) { m.tlsReloads.at(result).Inc() }

// Certificate is a certificate in use.
type Certificate struct {
	File    string  // it was read from
	Expires float64 // as a Unix time in seconds
}

// certificates registers a gauge with one value for each certificate that read returns.
// Their number is bounded by who returns them.
func (m *Metrics) certificates(read func() []Certificate) {
	if read == nil {
		return
	}
	m.registry.MustRegister(&certificateCollector{read: read, expires: prometheus.NewDesc("sluice_certificate_expiry_timestamp_seconds",
		"Unix time at which this certificate expires, by the file that it was read from.",
		[]string{"certificate"}, nil)})
}

type certificateCollector struct {
	read    func() []Certificate
	expires *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(to chan<- *prometheus.Desc) { to <- c.expires }

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(to chan<- prometheus.Metric) {
	for _, each := range c.read() {
		to <- prometheus.MustNewConstMetric(c.expires, prometheus.GaugeValue, each.Expires, each.File)
	}
}

package metrics

import "github.com/prometheus/client_golang/prometheus"

func (m *Metrics) addConfig(labels Labels) {
	m.reloads = m.counters("sluice_config_reloads_total",
		"Reloads of the configuration, by result: ok, or why the configuration before stays.",
		"result", labels.ReloadResults)
	m.reloadedAt = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_config_last_reload_timestamp_seconds",
		Help: "Unix time at which the present configuration was taken, at the start or by a reload.",
	})
	m.registry.MustRegister(m.reloadedAt)
	m.configInfo = m.gaugeVec("sluice_config_info",
		"Always 1; hash differs between configurations, leaving out hostname, addresses, data_dir and secrets.", "hash")
}

// Reloaded counts a reload of the configuration.
func (m *Metrics) Reloaded(result string) { m.reloads.at(result).Inc() }

// ConfigUsed records that the configuration of a hash is the present one.
func (m *Metrics) ConfigUsed(hash string) {
	m.configInfo.Reset()
	m.configInfo.WithLabelValues(hash).Set(1)
	m.reloadedAt.SetToCurrentTime()
}

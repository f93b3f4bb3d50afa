package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Broker is a broker of the event log.
type Broker struct {
	ID     int32 // its node id
	Silent bool  // whether it does not answer
}

// brokers registers a gauge with one value for each broker that read returns. Their
// number is bounded by who returns them.
func (m *Metrics) brokers(read func() []Broker) {
	if read == nil {
		return
	}
	m.registry.MustRegister(&brokerCollector{read: read, silent: prometheus.NewDesc("sluice_broker_silent",
		"1 while this Kafka broker does not answer or cannot be reached, otherwise 0, by node id.",
		[]string{"broker"}, nil)})
}

type brokerCollector struct {
	read   func() []Broker
	silent *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *brokerCollector) Describe(to chan<- *prometheus.Desc) { to <- c.silent }

// Collect implements prometheus.Collector.
func (c *brokerCollector) Collect(to chan<- prometheus.Metric) {
	for _, b := range c.read() {
		silent := 0.0
		if b.Silent {
			silent = 1
		}
		to <- prometheus.MustNewConstMetric(c.silent, prometheus.GaugeValue, silent, strconv.Itoa(int(b.ID)))
	}
}

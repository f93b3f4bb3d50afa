package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Index has the collectors of a process that fills the index.
type Index struct {
	events       byLabel[prometheus.Counter]
	batch        prometheus.Histogram
	insert       prometheus.Histogram
	read         prometheus.Counter
	fetchSeconds prometheus.Counter
	parseSeconds prometheus.Counter
	found        prometheus.Histogram
	down         byLabel[prometheus.Gauge]
	outages      byLabel[prometheus.Counter]
	lost         prometheus.Counter
	deleted      prometheus.Counter
	notDeleted   prometheus.Counter
}

// IndexLabels are the values that labels of the index may have.
type IndexLabels struct {
	Results      []string // of events
	Dependencies []string // what an indexer cannot do without
	PanicPlaces  []string // for NewIndexer alone
}

// NewIndexer returns the metrics of a process that fills the index and takes no mail.
func NewIndexer(labels IndexLabels, build Build) (*Metrics, *Index) {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.addPanics(labels.PanicPlaces)
	m.build(build)
	return m, m.AddIndex(labels)
}

// AddIndex registers the collectors of a process that fills the index.
func (m *Metrics) AddIndex(labels IndexLabels) *Index {
	i := &Index{}
	i.events = m.counters("sluice_index_events_total",
		"Events that the index is done with, by result: indexed, duplicate (the row was there), expired (older than index.retention), or poison and why: its record is in the dead letters.",
		"result", labels.Results)
	i.batch = m.histogram("sluice_index_batch_messages",
		"Messages that were inserted into the index in one transaction.", packBuckets)
	i.insert = m.histogram("sluice_index_insert_duration_seconds",
		"Time of one transaction that inserted messages into the index.", stageBuckets)
	i.read = m.counter("sluice_index_messages_read_total",
		"Messages that were read from the object store for the index.")
	i.fetchSeconds = m.counter("sluice_index_fetch_seconds_total",
		"Seconds in which messages were fetched from the object store for the index, of all workers together.")
	i.parseSeconds = m.counter("sluice_index_parse_seconds_total",
		"Seconds in which messages were parsed for the index, of all workers together.")
	i.found = m.histogram("sluice_index_found_duration_seconds",
		"Time from the receipt of a message (received_at) until it can be found.", foundBuckets)
	down := m.gaugeVec("sluice_index_outage",
		"1 while the index waits for something that it cannot use, 0 else, by what it is: store, database, broker or dead_letters.", "dependency")
	i.down = newByLabel(labels.Dependencies, func(d string) prometheus.Gauge { return down.WithLabelValues(d) })
	i.outages = m.counters("sluice_index_outages_total",
		"Times that the index began to wait for something that it cannot use, by what it is.", "dependency", labels.Dependencies)
	i.lost = m.counter("sluice_index_events_lost_total",
		"Events that were deleted from the topic before the index had read them: its retention is too short.")
	i.deleted = m.counter("sluice_index_deleted_total",
		"Messages that index.retention has deleted from the index, about; the mail stays.")
	i.notDeleted = m.counter("sluice_index_retention_failures_total",
		"Attempts to delete what is older than index.retention that failed.")
	return i
}

// Events counts events by their result.
func (i *Index) Events(result string, n int) { i.events.at(result).Add(float64(n)) }

// Batch observes one transaction.
func (i *Index) Batch(messages int, insertSeconds float64) {
	i.batch.Observe(float64(messages))
	i.insert.Observe(insertSeconds)
}

// Read counts messages that were read.
func (i *Index) Read(messages int, fetchSeconds, parseSeconds float64) {
	i.read.Add(float64(messages))
	i.fetchSeconds.Add(max(0, fetchSeconds)) // a counter panics on a negative value
	i.parseSeconds.Add(max(0, parseSeconds))
}

// Found observes how long after its receipt a message could be found.
func (i *Index) Found(seconds float64) { i.found.Observe(max(0, seconds)) }

// Outage records that something cannot be used, or can again.
func (i *Index) Outage(dependency string, lasts bool) {
	if !lasts {
		i.down.at(dependency).Set(0)
		return
	}
	i.down.at(dependency).Set(1)
	i.outages.at(dependency).Inc()
}

// Lost counts events that were deleted before they were read.
func (i *Index) Lost(events int64) { i.lost.Add(float64(max(0, events))) }

// Retained counts what retention has deleted.
func (i *Index) Retained(messages int64) { i.deleted.Add(float64(messages)) }

// RetentionFailed counts an attempt to delete that failed.
func (i *Index) RetentionFailed() { i.notDeleted.Inc() }

package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are values that live elsewhere and are read at each scrape. Every
// function is called from the scrape's goroutine, at any time from Watch on:
// it must be safe for concurrent use and must not block.
type Sources struct {
	// SessionsOpen counts sessions, not sockets.
	SessionsOpen func() float64
	// BodyMemory and BodyMemoryLimit are in octets.
	BodyMemory      func() float64
	BodyMemoryLimit func() float64
	// CreditWaiters counts messages that wait for body memory.
	CreditWaiters func() float64
	// QueueDepths are the lengths of the queues, by name.
	QueueDepths map[string]func() float64
	// PackWaiting is in octets, PackLanes what there are and PackLanesBusy what of
	// them stores something now.
	PackWaiting, PackLanes, PackLanesBusy func() float64
	// LargeLimit is how many tasks of large messages may be under way.
	LargeLimit func() float64
	// LogLinesDropped and LogLinesLeftOut only grow.
	LogLinesDropped func() float64
	LogLinesLeftOut func() float64
	// StoreLeftBehind only grows.
	StoreLeftBehind func() float64
	// UnsafeDiscard is 1 while messages are answered 250 without being kept.
	UnsafeDiscard func() float64
	// TopicMaxMessage is the most octets of an event; it, TopicReplication and
	// TopicMinInsync are what the topic of the events is set to, 0 while that is not
	// known.
	TopicMaxMessage  func() float64
	TopicReplication func() float64
	TopicMinInsync   func() float64
	Build            Build
}

// Build says what is running.
type Build struct {
	Version, Revision, GoVersion string
}

// Watch adds the collectors that read the sources; those whose function is
// nil are left out. It is called once: a second call panics, because the
// names are taken.
func (m *Metrics) Watch(s Sources) {
	m.gauge("sluice_sessions_open", "SMTP sessions open now.", s.SessionsOpen)
	m.gauge("sluice_body_memory_bytes", "Memory that message bodies hold now.", s.BodyMemory)
	m.gauge("sluice_body_memory_limit_bytes", "Memory that message bodies may hold (memory.bodies).", s.BodyMemoryLimit)
	m.gauge("sluice_credit_waiters", "Messages that wait for body memory now.", s.CreditWaiters)
	m.gauge("sluice_unsafe_discard", "1 while messages are answered 250 without being kept (unsafe_discard).", s.UnsafeDiscard)
	m.gauge("sluice_topic_replication_factor", "Copies of each partition of the events' topic, 0 while not known.", s.TopicReplication)
	m.gauge("sluice_topic_min_insync_replicas", "Copies that an acknowledged event has at least (min.insync.replicas), 0 while not known.", s.TopicMinInsync)
	m.gauge("sluice_topic_max_message_bytes", "Octets that an event may have (the less of the topic's max.message.bytes and segment.bytes), 0 while not known.", s.TopicMaxMessage)
	m.gauge("sluice_pack_waiting_bytes", "Octets of small messages that wait for a lane; they are part of sluice_body_memory_bytes.", s.PackWaiting)
	m.gauge("sluice_pack_lanes", "Lanes that take small messages to the object store (store.pack.lanes).", s.PackLanes)
	m.gauge("sluice_pack_lanes_busy", "Lanes that store something now.", s.PackLanesBusy)
	m.gauge("sluice_store_large_limit", "Parts and messages too large for a pack that may be on their way to the object store at the same time now: store.s3.concurrency, or fewer beside small messages that feel them.", s.LargeLimit)
	m.queues(s.QueueDepths)
	m.total("sluice_log_lines_dropped_total", "Log lines dropped because they came faster than they could be written.", s.LogLinesDropped)
	m.total("sluice_log_lines_left_out_total", "Refusals and lost messages without a log line, because their session or their client had too many in a second.", s.LogLinesLeftOut)
	m.total("sluice_store_left_behind_total",
		"Failed or aborted messages of which an object or an upload stayed in the bucket because it could not be removed; a lifecycle rule or the sweep has to.",
		s.StoreLeftBehind)
	m.build(s.Build)
}

func (m *Metrics) gauge(name, help string, read func() float64) {
	if read == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// total adds a counter that is kept elsewhere.
func (m *Metrics) total(name, help string, read func() float64) {
	if read == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

func (m *Metrics) queues(depths map[string]func() float64) {
	for _, name := range slices.Sorted(maps.Keys(depths)) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "sluice_queue_depth",
			Help:        "Work that waits in a bounded queue now, by queue.",
			ConstLabels: prometheus.Labels{"queue": name},
		}, depths[name]))
	}
}

func (m *Metrics) build(b Build) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_build_info",
		Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "goversion": b.GoVersion,
		},
	})
	info.Set(1)
	m.registry.MustRegister(info)
}

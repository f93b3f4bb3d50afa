package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Sources are values that live elsewhere and are read at each scrape. Every function is
// called from a scrape's goroutine, at any time after RegisterSources. It must be safe
// for concurrent use and must not block.
type Sources struct {
	// SessionsOpen is the number of sessions, not sockets.
	SessionsOpen func() float64
	// BodyMemory and BodyMemoryLimit are in bytes.
	BodyMemory      func() float64
	BodyMemoryLimit func() float64
	// CreditWaiters is the number of messages that wait for body memory.
	CreditWaiters func() float64
	// TLSHandshakes is the number of TLS handshakes that have begun and not ended.
	TLSHandshakes func() float64
	// AuthAttempts is the number of attempts to authenticate that wait for their verdict; nil
	// where there can be none.
	AuthAttempts func() float64
	// Verifications is the number of messages that are being looked up, read or judged.
	Verifications func() float64
	// DNSQuestions is the number of questions that wait for DNS servers, DNSCache what
	// answers take in memory, in bytes; nil where nobody is asked.
	DNSQuestions, DNSCache func() float64
	// StoreUsable and EventsUsable are 1 while the object store and the event log can be
	// used, as far as is known, and 0 while mail is turned away because one cannot.
	StoreUsable, EventsUsable func() float64
	// QueueDepths are the lengths of the queues, by name.
	QueueDepths map[string]func() float64
	// PackWaiting is in bytes. PackLanes is the number of lanes, PackLanesBusy the number
	// storing a pack or message.
	PackWaiting, PackLanes, PackLanesBusy func() float64
	// LargeLimit is the limit of concurrent requests for large messages and parts.
	LargeLimit func() float64
	// LogLinesDropped and LogLinesLeftOut only grow.
	LogLinesDropped func() float64
	LogLinesLeftOut func() float64
	// StoreLeftBehind only grows.
	StoreLeftBehind func() float64
	// DeletedUnread are numbers of events, by the rule that deleted them. They only grow.
	DeletedUnread map[string]func() int64
	// UnsafeDiscard is 1 while messages are answered 250 without being kept.
	UnsafeDiscard func() float64
	// TopicMaxMessage is the largest event in bytes. It, TopicReplication and
	// TopicMinInsync are settings of the event topic, and 0 while unknown.
	TopicMaxMessage  func() float64
	TopicReplication func() float64
	TopicMinInsync   func() float64
	// Brokers returns the known brokers of the event log, a bounded number.
	Brokers func() []Broker
	// Certificates returns the certificates in use, a bounded number.
	Certificates func() []Certificate
	Build        Build
}

// Build identifies the running program.
type Build struct {
	Version, Revision, GoVersion string
}

// RegisterSources registers the collectors that read s, except those whose function is
// nil. It must be called once: a second call panics, because the names are taken.
func (m *Metrics) RegisterSources(s Sources) {
	m.gauge("sluice_sessions_open", "Open SMTP sessions.", s.SessionsOpen)
	m.gauge("sluice_body_memory_bytes", "Memory held by message bodies.", s.BodyMemory)
	m.gauge("sluice_body_memory_limit_bytes", "Limit of the memory held by message bodies (memory.bodies).", s.BodyMemoryLimit)
	m.gauge("sluice_credit_waiters", "Messages waiting for body memory.", s.CreditWaiters)
	m.gauge("sluice_tls_handshakes_in_flight", "TLS handshakes that have begun and not ended; tls.handshakes bounds them.", s.TLSHandshakes)
	m.gauge("sluice_auth_attempts_in_flight", "Attempts to authenticate that wait for their verdict; auth.attempts bounds them.", s.AuthAttempts)
	m.gauge("sluice_verify_in_flight", "Look-ups, readings and verdicts for the verification of messages that are at work.", s.Verifications)
	m.gauge("sluice_dns_questions_in_flight", "Different questions that wait for DNS servers; 2000 are the most.", s.DNSQuestions)
	m.gauge("sluice_dns_cache_bytes", "Memory held by answers from the DNS, about; dns.cache bounds it.", s.DNSCache)
	m.gauge("sluice_store_usable", "1 if the object store can be used, as far as is known, 0 while mail is turned away because it cannot.", s.StoreUsable)
	m.gauge("sluice_events_usable", "1 if the event log can be used, as far as is known, 0 while mail is turned away because it cannot.", s.EventsUsable)
	m.gauge("sluice_unsafe_discard", "1 if messages are answered 250 without being stored (unsafe_discard), otherwise 0.", s.UnsafeDiscard)
	m.gauge("sluice_topic_replication_factor", "Replication factor of the event topic, 0 while unknown.", s.TopicReplication)
	m.gauge("sluice_topic_min_insync_replicas", "Least number of replicas of an acknowledged event (min.insync.replicas), 0 while unknown.", s.TopicMinInsync)
	m.gauge("sluice_topic_max_message_bytes", "Largest event that the topic accepts (the lesser of max.message.bytes and segment.bytes), 0 while unknown.", s.TopicMaxMessage)
	m.brokers(s.Brokers)
	m.certificates(s.Certificates)
	m.gauge("sluice_pack_waiting_bytes", "Bytes of small messages waiting for a lane, included in sluice_body_memory_bytes.", s.PackWaiting)
	m.gauge("sluice_pack_lanes", "Lanes that store small messages (store.pack.lanes).", s.PackLanes)
	m.gauge("sluice_pack_lanes_busy", "Lanes with a request to the object store in flight.", s.PackLanesBusy)
	m.gauge("sluice_store_large_limit", "Limit of concurrent requests for parts and for messages too large for a pack: store.s3.concurrency, or lower while these requests slow down small messages.", s.LargeLimit)
	m.queues(s.QueueDepths)
	m.total("sluice_log_lines_dropped_total", "Log lines dropped because they came faster than they could be written.", s.LogLinesDropped)
	m.total("sluice_log_lines_left_out_total", "Refusals, lost messages, warnings about messages and panics without a log line, because their session, their client, their kind or their place had too many.", s.LogLinesLeftOut)
	m.total("sluice_store_left_behind_total",
		"Failed or aborted messages that left an object or upload in the bucket because it could not be removed; a lifecycle rule or the sweep has to remove it.",
		s.StoreLeftBehind)
	m.deletedUnread(s.DeletedUnread)
	m.build(s.Build)
}

func (m *Metrics) gauge(name, help string, read func() float64) {
	if read == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// total registers a counter whose value is kept elsewhere.
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
			Help:        "Items waiting in a bounded queue, by queue.",
			ConstLabels: prometheus.Labels{"queue": name},
		}, depths[name]))
	}
}

func (m *Metrics) deletedUnread(counts map[string]func() int64) {
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "sluice_events_deleted_unread_total",
			Help:        "Events that the embedded log deleted although a consumer group had not read them, by the key of events.embedded that says so.",
			ConstLabels: prometheus.Labels{"by": rule},
		}, func() float64 { return float64(counts[rule]()) }))
	}
}

func (m *Metrics) build(b Build) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_build_info",
		Help: "Always 1; the labels identify the running program.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "goversion": b.GoVersion,
		},
	})
	info.Set(1)
	m.registry.MustRegister(info)
}

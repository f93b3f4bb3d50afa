// Package metrics holds every collector of the gateway and exposes them to Prometheus.
//
// The rest of the program knows none of the metric names. It calls small observer
// interfaces of basic types, which *Metrics satisfies. Methods that are called on an
// event loop neither lock nor allocate: New creates the collectors of all known label
// values, in maps that never change afterwards. A value that New was not given is counted
// under "other", so that the number of series is bounded by the code and never by
// clients.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// other replaces every label value that New was not given.
const other = "other"

// Results that the observer methods define themselves; the lists in Labels need not
// repeat them.
const (
	// Accepted is the result of a message that was answered 250 (MessageDone).
	Accepted = "accepted"
	ok       = "ok" // StageDone, LateResult
)

// maxScrapes bounds concurrent scrapes. Each one gathers and encodes every metric, and
// /metrics may be open to more than one Prometheus.
const maxScrapes = 4

// Labels lists the possible label values. A list may hold a value twice.
type Labels struct {
	// Replies are the reply codes with their causes.
	Replies []Reply
	// ProxyCauses are the causes of a connection closed for want of a PROXY header.
	ProxyCauses []string
	// TLSVersions are the versions of TLS, and TLSCauses the causes of its failures.
	TLSVersions, TLSCauses []string
	// ReloadResults are the results of a reload of the configuration.
	ReloadResults []string
	// TLSReloadResults are the results of reading files of the section tls anew.
	TLSReloadResults []string
	// AuthBackends are the backends of AUTH, and AuthReasons why an attempt is not accepted.
	AuthBackends, AuthReasons []string
	// DNSTypes are the types of records that are looked up, and DNSOutcomes what becomes of
	// a lookup.
	DNSTypes, DNSOutcomes []string
	// VerifyResults are the results of checks of a message, and Dispositions what policy
	// makes of it.
	VerifyResults, Dispositions []string
	// RefusalCauses are the causes of a 421 in place of the greeting.
	RefusalCauses []string
	// MessageResults are the causes of a refusal after the 354.
	MessageResults []string
	// PathLeniencies are the accepted departures from the grammar of paths.
	PathLeniencies []string
	// FailureKinds are the kinds of failure of the object store and the event log.
	FailureKinds []string
	// RetryCauses are the causes of a further attempt at a request to the object store.
	RetryCauses []string
	// ReplaceCauses are the causes for which the Kafka client is replaced.
	ReplaceCauses []string
	// Stages are the stages of a complete message, as pipeline.ObservedStages has them.
	Stages []string
	// PanicPlaces are the handlers and goroutines that recover from panics.
	PanicPlaces []string
	// AcceptCauses are the causes of a failure to accept a connection.
	AcceptCauses []string
	// PressureClasses are the client classes of the pressure gate.
	PressureClasses []string
	// PressureCauses are the causes for which the gate sheds sessions.
	PressureCauses []string
	// LagGroups are the consumer groups whose lag is read.
	LagGroups []string

	// Strict makes a stage that is not in Stages a panic, for tests.
	Strict bool
}

// Reply is one pair of labels of sluice_replies_total.
type Reply struct {
	Code  int
	Cause string
}

// Metrics is the set of collectors and their registry. All methods are safe for
// concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	acceptFailures  byLabel[prometheus.Counter]
	displaced       byLabel[prometheus.Counter]
	sessionsOpened  prometheus.Counter
	proxyRefused    byLabel[prometheus.Counter]
	tlsHandshakes   byLabel[prometheus.Counter]
	tlsFailures     byLabel[prometheus.Counter]
	tlsResumed      prometheus.Counter
	sessionsRefused byLabel[prometheus.Counter]
	sessionsShed    byLabel[prometheus.Counter]
	sessionsClosed  byLabel[prometheus.Counter]
	sessionDuration prometheus.Histogram

	replies replies

	messages        byLabel[prometheus.Counter]
	messageBytes    byLabel[prometheus.Counter]
	messageDuration prometheus.Histogram

	stages  map[string]*stage // read only
	orphans byLabel[prometheus.Counter]
	strict  bool

	storeRetries byLabel[prometheus.Counter]
	kafkaClients byLabel[prometheus.Counter] // replaced ones

	creditWait byLabel[prometheus.Observer]
	relieved   byLabel[prometheus.Counter]
	pauses     byLabel[prometheus.Counter]
	paused     prometheus.Gauge
	loopDelay  prometheus.Histogram
	panics     byLabel[prometheus.Counter]

	lenientPaths byLabel[prometheus.Counter]

	reloads    byLabel[prometheus.Counter]
	reloadedAt prometheus.Gauge
	configInfo *prometheus.GaugeVec

	tlsReloads byLabel[prometheus.Counter]

	attempts     attempts
	authDuration map[string]prometheus.Observer // by backend; read only

	lookups  lookups
	verified verified

	packs    packs
	pressure pressure
}

// stage has the collectors of one stage of complete messages.
type stage struct {
	duration byLabel[prometheus.Observer]
	late     byLabel[prometheus.Counter]
}

// New registers the collectors whose values are kept in this package. RegisterSources
// adds those that are read from elsewhere.
func New(labels Labels) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.addSessions(labels)
	m.addMessages(labels)
	m.addStages(labels)
	m.addLoops(labels)
	m.addPacks(labels)
	m.addPressure(labels)
	m.addConfig(labels)
	m.addTLS(labels)
	m.addAuth(labels)
	m.addDNS(labels)
	m.addVerify(labels)
	return m
}

// Registry returns the registry, for collectors of other packages.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves GET /metrics in the Prometheus text format or OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})
}

func (m *Metrics) addSessions(labels Labels) {
	m.acceptFailures = m.counters("sluice_accept_failures_total",
		"Failed attempts to accept a connection for mail, the admin server or the embedded broker, by cause; the connection stays in the kernel's queue.",
		"cause", labels.AcceptCauses)
	m.displaced = m.counters("sluice_connections_displaced_total",
		"Connections of the admin server and of the embedded broker that were closed to make room for another, by server.",
		"server", []string{"admin", "events"})
	m.sessionsOpened = m.counter("sluice_sessions_total",
		"SMTP sessions greeted with 220.")
	m.proxyRefused = m.counters("sluice_proxy_refused_total",
		"Connections closed without a reply because no valid PROXY header came from one of proxy_networks, by cause.",
		"cause", labels.ProxyCauses)
	m.sessionsRefused = m.counters("sluice_sessions_refused_total",
		"Connections refused in place of the greeting, by cause: answered 421, or closed where TLS comes first.",
		"cause", labels.RefusalCauses)
	m.sessionsShed = m.counters("sluice_sessions_shed_total",
		"Sessions answered 421 by the pressure gate, in place of the greeting, at MAIL or at DATA, by cause.",
		"cause", labels.PressureCauses)
	m.lenientPaths = m.counters("sluice_lenient_paths_total",
		"Paths of MAIL and RCPT accepted despite a departure from the grammar, by kind; strict_paths refuses them.",
		"kind", labels.PathLeniencies)
	m.sessionsClosed = m.counters("sluice_sessions_closed_total",
		"SMTP sessions that ended, by the way they ended.",
		"end", []string{"quit", "client", "refused", "stalled", "stalled_sessions", "tls", "error"})
	m.sessionDuration = m.histogram("sluice_session_duration_seconds",
		"Time from the greeting to the end of the session.", sessionBuckets)
	m.replies = newReplies(m.counterVec("sluice_replies_total",
		"SMTP replies sent, by reply code and cause.", "code", "cause"), labels.Replies)
}

func (m *Metrics) addMessages(labels Labels) {
	results := append([]string{Accepted}, labels.MessageResults...)
	m.messages = m.counters("sluice_messages_total",
		"Messages whose DATA was granted a 354, by result: accepted, or the cause of the refusal.",
		"result", results)
	m.messageBytes = m.counters("sluice_message_bytes_total",
		"Bytes received of messages whose DATA was granted a 354, by result.", "result", results)
	m.messageDuration = m.histogram("sluice_message_duration_seconds",
		"Time from the final dot of a message to its reply.", stageBuckets)
}

// stageHelp describes the duration of each stage.
var stageHelp = map[string]string{
	"verify":  "Time that messages waited for the verdict of the verifier, by result.",
	"store":   "Time that the object store took to acknowledge a message, by result.",
	"publish": "Time that the event log took to acknowledge an event, by result.",
}

func (m *Metrics) addStages(labels Labels) {
	results := append([]string{ok}, labels.FailureKinds...)
	// Its label step is a stage. Dashboards know it by that name.
	late := m.counterVec("sluice_late_results_total",
		"Results that arrived after the sender had its reply or had gone, by step and result: a late publish is an expected duplicate, a late store an object without an event, a late verify mail that went on without its verdict or was given up.",
		"step", "result")
	m.orphans = m.counters("sluice_orphans_total",
		"Objects whose event is certainly not in the log, by what became of them: removed, or kept because they share a pack or the store removes none.",
		"fate", []string{"removed", "kept"})
	m.storeRetries = m.counters("sluice_store_retries_total",
		"Further attempts at requests to the object store, by what became of the one before: silent (no answer for longer than usual), broken (no connection, or it broke) or busy (the store refused it for now).",
		"cause", labels.RetryCauses)
	m.kafkaClients = m.counters("sluice_kafka_clients_replaced_total",
		"Kafka clients that were replaced by a fresh one, by cause: failing (all their events failed), overdue (an event had no answer in time), topic_anew (the topic was deleted and made again) or size (the topic takes batches of another size).",
		"cause", labels.ReplaceCauses)
	m.stages, m.strict = make(map[string]*stage), labels.Strict
	for _, name := range labels.Stages {
		help, found := stageHelp[name]
		if !found {
			panic("metrics: no help for stage " + name)
		}
		m.stages[name] = &stage{
			duration: m.histograms("sluice_"+name+"_duration_seconds", help, stageBuckets, results),
			late: newByLabel(results, func(result string) prometheus.Counter {
				return late.WithLabelValues(name, result)
			}),
		}
	}
}

func (m *Metrics) addLoops(labels Labels) {
	m.creditWait = m.histograms("sluice_credit_wait_seconds",
		"Time that messages waited for body memory, before their 354 or while they grew, by result.",
		creditBuckets, []string{"granted", "refused", "gone"})
	m.relieved = m.counters("sluice_memory_relieved_total",
		"Messages whose memory was taken back while it was short, as they held it and hardly got on, by what they were sending, or verdict: they waited for that, and went on without.",
		"sending", []string{"envelope", "body", "verdict"})
	m.pauses = m.counters("sluice_session_pauses_total",
		"Pauses of a session's reading from its client, by what the session waited for.",
		"waits_for", []string{"call", "client", "credit", "handshake", "memory", "outcome"})
	m.paused = m.level("sluice_sessions_paused", "SMTP sessions that have paused reading from their client.")
	m.loopDelay = m.histogram("sluice_loop_delay_seconds",
		"Time from the request of a tick to its execution on the event loop.", loopBuckets)
	m.addPanics(labels.PanicPlaces)
}

func (m *Metrics) addPanics(places []string) {
	m.panics = m.counters("sluice_panics_total",
		"Recovered panics, by place; each ended one session or failed one message or task.", "where", places)
}

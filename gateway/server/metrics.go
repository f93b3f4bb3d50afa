package server

import (
	"sluice/codec"
	"sluice/gateway/adapters"
	"sluice/gateway/certificates"
	"sluice/gateway/config"
	"sluice/gateway/driver"
	"sluice/gateway/identity"
	"sluice/gateway/monitor"
	"sluice/gateway/pressure"
	"sluice/gateway/reactor"
	"sluice/gateway/resolver"
	"sluice/gateway/secure"
	"sluice/internal/panics"
	"sluice/metrics"
	"sluice/pipeline"
)

// sources returns the values that /metrics reads at each scrape.
func (s *Server) sources() metrics.Sources {
	bodies, parts := s.shared.Budget, s.shared.Parts
	depths := map[string]func() float64{}
	if s.objects.Depth != nil {
		depths["store"] = func() float64 { return float64(s.objects.Depth()) }
	}
	if s.events.Depth != nil {
		depths["publish"] = func() float64 { return float64(s.events.Depth()) }
	}
	sources := metrics.Sources{
		SessionsOpen:    func() float64 { return float64(s.shared.SessionsOpen()) },
		TLSHandshakes:   func() float64 { return float64(s.handshakes.Begun()) },
		BodyMemory:      func() float64 { return float64(bodies.Used() + parts.Used()) },
		BodyMemoryLimit: func() float64 { return float64(bodies.Limit() + parts.Limit()) },
		CreditWaiters:   func() float64 { return float64(bodies.Waiters() + parts.Waiters()) },
		StoreUsable:     func() float64 { return boolGauge(s.storing.Usable()) },
		EventsUsable:    func() float64 { return boolGauge(s.publishing.Usable()) },
		QueueDepths:     depths,
		DeletedUnread:   s.events.DeletedUnread,
		LogLinesDropped: func() float64 { return float64(s.log.Dropped()) },
		LogLinesLeftOut: func() float64 { return float64(s.log.Omitted()) },
		UnsafeDiscard:   func() float64 { return boolGauge(s.config.DiscardsMessages() || s.config.DiscardsEvents()) },
		Build:           s.options.Build,
	}
	sources.Certificates = func() (all []metrics.Certificate) {
		for _, c := range s.certificates.Certificates() {
			all = append(all, metrics.Certificate{File: c.File, Expires: float64(c.NotAfter.Unix())})
		}
		return all
	}
	if lanes := s.objects.Batcher; lanes != nil {
		sources.PackWaiting = func() float64 { return float64(lanes.WaitingBytes()) }
		sources.PackLanes = func() float64 { return float64(lanes.Lanes()) }
		sources.PackLanesBusy = func() float64 { return float64(lanes.Busy()) }
	}
	if limit := s.objects.LargeLimit; limit != nil {
		sources.LargeLimit = func() float64 { return float64(limit()) }
	}
	if s.attempts != nil {
		sources.AuthAttempts = func() float64 { return float64(s.attempts.Begun()) }
	}
	if v := s.verification; v != nil {
		sources.Verifications = func() float64 { return float64(v.Working()) }
		sources.DNSQuestions = func() float64 { return float64(v.Questions()) }
		sources.DNSCache = func() float64 { return float64(v.CachedBytes()) }
	}
	if s.objects.LeftBehind != nil {
		sources.StoreLeftBehind = func() float64 { return float64(s.objects.LeftBehind()) }
	}
	if s.events.Topic != nil {
		sources.TopicReplication = func() float64 { return float64(s.events.Topic().ReplicationFactor) }
		sources.TopicMaxMessage = func() float64 { return float64(s.events.Topic().MaxMessageBytes) }
		sources.TopicMinInsync = func() float64 { return float64(s.events.Topic().MinInsyncReplicas) }
	}
	if s.events.Brokers != nil {
		sources.Brokers = func() []metrics.Broker {
			var all []metrics.Broker
			for _, b := range s.events.Brokers() {
				all = append(all, metrics.Broker{ID: b.ID, Silent: !b.Answers})
			}
			return all
		}
	}
	return sources
}

func boolGauge(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// metricLabels returns the bounded labels that the driver and the pipeline use.
func metricLabels(c *config.Config) metrics.Labels {
	labels := metrics.Labels{
		PressureClasses: monitor.Classes(c),
		PressureCauses:  pressure.Causes(),
		LagGroups:       c.Pressure.Lag.Groups,
	}
	for _, r := range codec.Replies() {
		labels.Replies = append(labels.Replies, metrics.Reply{Code: int(r.Code), Cause: r.Cause})
		if r.Code >= 400 {
			labels.MessageResults = append(labels.MessageResults, r.Cause)
		}
	}
	labels.MessageResults = append(labels.MessageResults, "client_gone")
	for _, r := range []*codec.Reply{
		codec.ReplyDraining, codec.ReplyPressure, codec.ReplyTooManyConnections, codec.ReplyTooManyFromAddress,
	} {
		labels.RefusalCauses = append(labels.RefusalCauses, r.Cause)
	}
	for l := codec.LenientNone + 1; int(l) < codec.LeniencyCount; l++ {
		labels.PathLeniencies = append(labels.PathLeniencies, l.String())
	}
	for _, k := range pipeline.FailureKinds() {
		labels.FailureKinds = append(labels.FailureKinds, k.String())
	}
	labels.RetryCauses, labels.ReplaceCauses = adapters.RetryCauses(), adapters.ReplaceCauses()
	labels.Stages = pipeline.ObservedStages()
	labels.PanicPlaces = driver.PanicPlaces()
	for _, at := range panics.Places() {
		labels.PanicPlaces = append(labels.PanicPlaces, string(at))
	}
	labels.AcceptCauses = reactor.AcceptCauses()
	for _, cause := range driver.TLSCauses() {
		labels.TLSCauses = append(labels.TLSCauses, string(cause))
	}
	labels.TLSVersions = secure.Versions()
	labels.AuthBackends = config.Backends()
	for _, reason := range identity.Reasons() {
		labels.AuthReasons = append(labels.AuthReasons, string(reason))
	}
	labels.DNSTypes, labels.DNSOutcomes = resolver.Types(), resolver.Outcomes()
	labels.VerifyResults, labels.Dispositions = adapters.VerifyResults(), adapters.Dispositions()
	labels.ProxyCauses, labels.ReloadResults = driver.ProxyCauses(), ReloadResults()
	labels.TLSReloadResults = certificates.Results()
	return labels
}

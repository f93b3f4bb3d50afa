package metrics

// The methods in this file implement the driver's Observer. They run on event loops, so
// they neither lock nor allocate (TestObservingDoesNotAllocate).

// AcceptFailed counts a failed attempt to accept a connection.
func (m *Metrics) AcceptFailed(cause string) { m.acceptFailures.at(cause).Inc() }

// ConnectionDisplaced counts a connection that server closed to make room for another.
func (m *Metrics) ConnectionDisplaced(server string) { m.displaced.at(server).Inc() }

// SessionOpened counts a session that was greeted with 220.
func (m *Metrics) SessionOpened() { m.sessionsOpened.Inc() }

// ProxyRefused counts a connection closed for want of a valid PROXY header.
func (m *Metrics) ProxyRefused(cause string) { m.proxyRefused.at(cause).Inc() }

// SessionRefused counts a connection answered 421 in place of the greeting.
func (m *Metrics) SessionRefused(cause string) { m.sessionsRefused.at(cause).Inc() }

// SessionShed counts a session answered 421 because of the pressure gate.
func (m *Metrics) SessionShed(cause string) { m.sessionsShed.at(cause).Inc() }

// LenientPath counts an accepted path that departs from the grammar.
func (m *Metrics) LenientPath(kind string) { m.lenientPaths.at(kind).Inc() }

// SessionClosed counts the end of an opened session, which lasted seconds.
func (m *Metrics) SessionClosed(seconds float64, end string) {
	m.sessionsClosed.at(end).Inc()
	m.sessionDuration.Observe(seconds)
}

// Reply counts a reply that was sent.
func (m *Metrics) Reply(code int, cause string) { m.replies.at(code, cause).Inc() }

// MessageDone counts a message whose DATA was granted a 354. seconds is the time from the
// final dot to the reply. It is negative, and not observed, if no final dot was received.
func (m *Metrics) MessageDone(result string, octets int64, seconds float64) {
	m.messages.at(result).Inc()
	if octets > 0 { // a counter panics on a negative value
		m.messageBytes.at(result).Add(float64(octets))
	}
	if seconds >= 0 {
		m.messageDuration.Observe(seconds)
	}
}

// StageDone observes how long a stage of a message took.
func (m *Metrics) StageDone(stage, result string, seconds float64) {
	if s := m.stage(stage); s != nil {
		s.duration.at(result).Observe(seconds)
	}
}

// LateResult counts a result of a stage that arrived after its session had stopped
// waiting.
func (m *Metrics) LateResult(stage, result string) {
	if s := m.stage(stage); s != nil {
		s.late.at(result).Inc()
	}
}

// Orphaned counts an object whose event is certainly not in the log.
func (m *Metrics) Orphaned(fate string) { m.orphans.at(fate).Inc() }

// stage returns the collectors of a stage. Of one that New was not told of nothing is
// counted; in tests it is a panic.
func (m *Metrics) stage(name string) *stage {
	s := m.stages[name]
	if s == nil && m.strict {
		panic("metrics: unknown stage " + name)
	}
	return s
}

// CreditWaited observes the time that a message waited for body memory.
func (m *Metrics) CreditWaited(result string, seconds float64) {
	m.creditWait.at(result).Observe(seconds)
}

// SessionPaused counts a session that stops reading from its client.
func (m *Metrics) SessionPaused(waitsFor string) {
	m.pauses.at(waitsFor).Inc()
	m.paused.Inc()
}

// SessionResumed records that a paused session reads again or has ended.
func (m *Metrics) SessionResumed() { m.paused.Dec() }

// MemoryRelieved counts a message whose memory was taken back.
func (m *Metrics) MemoryRelieved(sending string) { m.relieved.at(sending).Inc() }

// LoopDelay observes how long a tick waited for its event loop.
func (m *Metrics) LoopDelay(seconds float64) { m.loopDelay.Observe(seconds) }

// Panicked counts a panic that a handler recovered from.
func (m *Metrics) Panicked(where string) { m.panics.at(where).Inc() }

// StoreRetried counts a further attempt at a request to the object store.
func (m *Metrics) StoreRetried(cause string) { m.storeRetries.at(cause).Inc() }

// KafkaClientReplaced counts a Kafka client that was replaced by a fresh one.
func (m *Metrics) KafkaClientReplaced(cause string) { m.kafkaClients.at(cause).Inc() }

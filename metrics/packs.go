package metrics

import "github.com/prometheus/client_golang/prometheus"

// packs holds the collectors of messages that share objects.
type packs struct {
	messages prometheus.Histogram
	octets   prometheus.Histogram
	wait     prometheus.Histogram
	done     byLabel[prometheus.Counter]
	split    prometheus.Counter
}

func (m *Metrics) addPacks(labels Labels) {
	m.packs = packs{
		messages: m.histogram("sluice_pack_messages",
			"Messages in one request of a lane to the object store; 1 is a message stored alone.", packBuckets),
		octets: m.histogram("sluice_pack_bytes",
			"Bytes of the messages in one request of a lane to the object store.", packOctetBuckets),
		wait: m.histogram("sluice_pack_wait_seconds",
			"Time that small messages waited for a lane.", packWaitBuckets),
		done: m.counters("sluice_packs_total",
			"Packs of two or more messages, by result.", "result", append([]string{ok}, labels.FailureKinds...)),
		split: m.counter("sluice_pack_split_messages_total",
			"Messages of packs that the object store refused; each was then stored alone."),
	}
}

// PackWaited observes how long a message waited for a lane.
func (m *Metrics) PackWaited(seconds float64) { m.packs.wait.Observe(seconds) }

// PackTaken observes the messages and bytes that a lane took for one request.
func (m *Metrics) PackTaken(messages int, octets int64) {
	m.packs.messages.Observe(float64(messages))
	m.packs.octets.Observe(float64(octets))
}

// PackDone counts a pack of two or more messages.
func (m *Metrics) PackDone(result string) { m.packs.done.at(result).Inc() }

// PackSplit counts the messages of a pack that was refused.
func (m *Metrics) PackSplit(messages int, _ error) { m.packs.split.Add(float64(messages)) }

package kafka

import (
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partitioner spreads events over the partitions that get on. The events of one moment go
// to one partition in one batch, until it has uniformBytes of them. Keys are unique, so
// partitioning by key would order nothing. A partition whose events have no result for
// stallAfter is left at once, whatever it waits for, and not chosen while another gets on.
// Neither is one whose leader is known to be silent. That outlasts its events, which fail
// in the end, and the client.
type partitioner struct {
	// answers reports whether the leader of the i-th of n partitions answers, as far as is
	// known.
	answers func(i, n int) bool
}

const (
	// uniformBytes is the number of bytes that go to one partition before another is
	// chosen.
	uniformBytes = 64 << 10
	// stallAfter may be too short for a slow cluster: then the events of one moment are
	// spread over more partitions, in smaller batches.
	stallAfter = time.Second
	// lookEvery is how often the backlogs are looked at.
	lookEvery = 25 * time.Millisecond
)

var (
	_ kgo.Partitioner            = partitioner{}
	_ kgo.TopicBackupPartitioner = (*topicPartitioner)(nil)
)

// ForTopic implements kgo.Partitioner.
func (p partitioner) ForTopic(string) kgo.TopicPartitioner {
	return &topicPartitioner{now: time.Now, answers: p.answers}
}

// topicPartitioner is used by one goroutine at a time.
type topicPartitioner struct {
	now        func() time.Time
	answers    func(i, n int) bool // as in partitioner
	partitions []backlog           // as many as can be written
	candidates []int               // scratch of choose
	on         int                 // the partition that is chosen
	bytes      int                 // that it got since
	looked     time.Time           // at the backlogs
}

// backlog is the events of one partition that have no result.
type backlog struct {
	events int64
	moved  time.Time // when the last result was seen, or when none was missing
}

// RequiresConsistency implements kgo.TopicPartitioner: partitions without a leader are
// left out.
func (*topicPartitioner) RequiresConsistency(*kgo.Record) bool { return false }

// Partition implements kgo.TopicPartitioner. PartitionByBackup is called instead.
func (*topicPartitioner) Partition(_ *kgo.Record, n int) int { return rand.IntN(n) }

// PartitionByBackup implements kgo.TopicBackupPartitioner.
func (p *topicPartitioner) PartitionByBackup(r *kgo.Record, n int, backlogs kgo.TopicBackupIter) int {
	now := p.now()
	full := p.bytes >= uniformBytes
	if full || n != len(p.partitions) || now.Sub(p.looked) >= lookEvery {
		fresh := n != len(p.partitions)
		p.look(n, backlogs, now)
		if fresh || full || p.stalled(p.on, now) || !p.answers(p.on, n) {
			p.on, p.bytes = p.choose(now), 0
		}
	}
	p.bytes += int(recordSize(r))
	p.partitions[p.on].events++
	return p.on
}

// look notes the backlogs. One that is smaller than what was put on it has moved.
func (p *topicPartitioner) look(n int, backlogs kgo.TopicBackupIter, now time.Time) {
	p.looked = now
	if n != len(p.partitions) { // their numbers have another meaning now
		p.partitions = make([]backlog, n)
		for i := range p.partitions {
			p.partitions[i].moved = now
		}
	}
	for backlogs.Rem() > 0 {
		i, events := backlogs.Next()
		k := &p.partitions[i]
		if events < k.events || events == 0 {
			k.moved = now
		}
		k.events = events
	}
}

func (p *topicPartitioner) stalled(i int, now time.Time) bool {
	return now.Sub(p.partitions[i].moved) >= stallAfter
}

// choose draws a partition that gets on and whose leader answers, or else one that gets on.
// Of two that it draws it takes the one with the smaller backlog.
func (p *topicPartitioner) choose(now time.Time) int {
	p.candidates = p.candidates[:0]
	answering := 0
	for i := range p.partitions {
		if p.stalled(i, now) {
			continue
		}
		p.candidates = append(p.candidates, i)
		if p.answers(i, len(p.partitions)) { // these stand first
			last := len(p.candidates) - 1
			p.candidates[answering], p.candidates[last] = p.candidates[last], p.candidates[answering]
			answering++
		}
	}
	among := p.candidates
	if answering > 0 {
		among = among[:answering]
	}
	if len(among) == 0 {
		return rand.IntN(len(p.partitions))
	}
	a, b := among[rand.IntN(len(among))], among[rand.IntN(len(among))]
	if p.partitions[b].events < p.partitions[a].events {
		return b
	}
	return a
}

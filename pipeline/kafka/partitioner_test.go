package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// backlogs is a kgo.TopicBackupIter.
type backlogs struct {
	events []int64
	next   int
}

func (b *backlogs) Next() (int, int64) { b.next++; return b.next - 1, b.events[b.next-1] }
func (b *backlogs) Rem() int           { return len(b.events) - b.next }

func anyAnswers(int, int) bool { return true }

// TestPartitionerAvoidsSilentLeaders checks that a partition whose leader is silent gets no
// event although it has none that waits, as long as there is another.
func TestPartitionerAvoidsSilentLeaders(t *testing.T) {
	now := time.Unix(0, 0)
	silent := map[int]bool{}
	p := &topicPartitioner{
		now:     func() time.Time { return now },
		answers: func(i, n int) bool { return !silent[i] },
	}
	record := &kgo.Record{Value: make([]byte, 10_000)}
	run := func() map[int]int {
		counts := map[int]int{}
		for range 1000 {
			now = now.Add(lookEvery)
			counts[p.PartitionByBackup(record, 5, &backlogs{events: make([]int64, 5)})]++
		}
		return counts
	}
	for _, test := range []struct{ silent, want int }{{0, 5}, {1, 4}, {4, 1}, {5, 5}} {
		clear(silent)
		for i := range test.silent {
			silent[(i+2)%5] = true
		}
		if got := run(); len(got) != test.want {
			t.Errorf("%d leaders are silent: %v", test.silent, got)
		}
	}
}

// TestPartitionerLeavesStalledPartitions publishes to five partitions, of which one has
// no results for a time.
func TestPartitionerLeavesStalledPartitions(t *testing.T) {
	now := time.Unix(0, 0)
	p := &topicPartitioner{now: func() time.Time { return now }, answers: anyAnswers}
	record := &kgo.Record{Value: make([]byte, 10_000)} // so that many partitions are drawn
	events := make([]int64, 5)
	// run publishes for a second and returns the number of events of each partition.
	run := func(stalled int) []int {
		counts := make([]int, len(events))
		for range 1000 {
			now = now.Add(time.Millisecond)
			i := p.PartitionByBackup(record, len(events), &backlogs{events: events})
			counts[i]++
			events[i]++
			for k := range events {
				if k != stalled {
					events[k] = 0 // published by the next event
				}
			}
		}
		return counts
	}
	for i, count := range run(-1) {
		if count == 0 {
			t.Errorf("partition %d got no event", i)
		}
	}
	run(2)
	run(2) // by its end the stall is known
	for i, count := range run(2) {
		if i == 2 && count > 0 || i != 2 && count == 0 {
			t.Errorf("partition %d of which 2 is stalled got %d events", i, count)
		}
	}
	run(-1)
	if run(-1)[2] == 0 {
		t.Error("a partition that gets on again got no event")
	}
	// All of them are stalled: any may be chosen, and none is out of range.
	for range 1000 {
		now = now.Add(stallAfter)
		if i := p.PartitionByBackup(record, 5, &backlogs{events: []int64{9, 9, 9, 9, 9}}); i < 0 || i > 4 {
			t.Fatalf("partition %d", i)
		}
	}
	// There are fewer.
	if i := p.PartitionByBackup(record, 1, &backlogs{events: []int64{9}}); i != 0 {
		t.Errorf("partition %d of one", i)
	}
}

func TestPartitionerNeedsNoMemory(t *testing.T) {
	p := partitioner{anyAnswers}.ForTopic("").(kgo.TopicBackupPartitioner)
	record, b := &kgo.Record{Value: make([]byte, 1000)}, &backlogs{events: make([]int64, 5)}
	if n := testing.AllocsPerRun(1000, func() {
		b.next = 0
		p.PartitionByBackup(record, 5, b)
	}); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

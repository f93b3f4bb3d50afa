package indexer

import "sync"

// offsets knows which records are done, so that a record is committed only once those
// before it in its partition are done too.
type offsets struct {
	mu          sync.Mutex
	partitions  map[partition][]*offset
	uncommitted int
}

type partition struct {
	topic  string
	number int32
}

// offset is a record of which it is not committed yet that it is done.
type offset struct {
	at   int64
	done bool
}

func newOffsets() *offsets { return &offsets{partitions: map[partition][]*offset{}} }

// add notes a record, the next of its partition. One that is not behind the last has come
// again: the partition was lost meanwhile, and what is in flight of it is not committed.
func (o *offsets) add(r *Record) *offset {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := partition{r.Topic, r.Partition}
	queue := o.partitions[at]
	if n := len(queue); n > 0 && queue[n-1].at >= r.Offset {
		o.uncommitted -= n
		queue = nil
	}
	fresh := &offset{at: r.Offset}
	o.partitions[at] = append(queue, fresh)
	o.uncommitted++
	return fresh
}

// done notes that items are done, and returns the records that may be committed now: the
// last of each partition.
func (o *offsets) done(items []*item) []Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	touched := map[partition]bool{}
	for _, i := range items {
		i.offset.done = true
		touched[partition{i.record.Topic, i.record.Partition}] = true
	}
	var heads []Record
	for at := range touched {
		queue, last := o.partitions[at], int64(-1)
		for len(queue) > 0 && queue[0].done {
			last, queue = queue[0].at, queue[1:]
			o.uncommitted--
		}
		if len(queue) == 0 {
			delete(o.partitions, at)
		} else {
			o.partitions[at] = queue
		}
		if last >= 0 {
			heads = append(heads, Record{Topic: at.topic, Partition: at.number, Offset: last})
		}
	}
	return heads
}

// waiting returns the number of records that are not committed.
func (o *offsets) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.uncommitted
}

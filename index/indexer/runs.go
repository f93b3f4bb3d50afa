package indexer

import (
	"cmp"
	"slices"
	"time"
)

// run is a range of an object with messages that are read by one request, in the order of
// their offsets. None overlap.
type run struct {
	items  []*item
	begin  int64
	end    int64
	octets int64 // of the messages, without the holes between them
}

// maxRun bounds a run of several messages, in bytes with its holes.
const maxRun = 16 << 20

// runs divides items into runs, in the order of their first items.
func runs(items []*item) []*run {
	byKey := map[string][]*item{}
	var keys []string
	for _, i := range items {
		key := i.event.Blob.Key
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], i)
	}
	var all []*run
	for _, key := range keys {
		same := byKey[key]
		slices.SortStableFunc(same, func(a, b *item) int { return cmp.Compare(a.event.Blob.Offset, b.event.Blob.Offset) })
		var last *run
		for _, i := range same {
			if last != nil && last.takes(i) {
				last.add(i)
				continue
			}
			b := &i.event.Blob
			all = append(all, &run{items: []*item{i}, begin: b.Offset, end: b.Offset + b.Length, octets: b.Length})
			// One that has failed has a request of its own, so that no other can be why.
			if last = all[len(all)-1]; i.attempts > 0 {
				last = nil
			}
		}
	}
	return all
}

// takes reports whether the next message of the object may share the request.
func (r *run) takes(i *item) bool {
	b := &i.event.Blob
	end := b.Offset + b.Length
	whole, octets := end-r.begin, r.octets+b.Length
	return i.attempts == 0 && b.Offset >= r.end && whole <= maxRun && whole-octets <= whole/2
}

func (r *run) add(i *item) {
	b := &i.event.Blob
	r.items, r.end, r.octets = append(r.items, i), b.Offset+b.Length, r.octets+b.Length
}

// broken notes that reading the run ended in a panic, and returns how many were tried.
func (r *run) broken(err error, now time.Time) (tried int) {
	for n, i := range r.items {
		if !i.settled() && i.failure == 0 {
			i.fail(failed, err, now)
			return n + 1
		}
	}
	return len(r.items)
}

package kafka

import "time"

// stamped is a record's offset and time, in milliseconds of the Unix epoch.
// A negative time is that of no record: the offset is the partition's end.
type stamped struct{ offset, milli int64 }

// ages finds the time of a group's oldest unconsumed record. A broker does not
// give a record's time without the record, but it gives the first record that
// is not older than a time, so the time is found by bisection, and remembered
// while the group does not move.
type ages struct {
	known map[int32]stamped // by partition
}

// resolution is how well a time is known at worst, beside an eighth of the age.
const resolution = 100 * time.Millisecond

// maxQuestions bounds the requests of one reading: 31 doublings of a second
// reach the epoch, and few halvings lead to an eighth of that.
const maxQuestions = 48

var epoch = time.UnixMilli(0)

// oldest gives the time of the oldest of the records that the spans begin with,
// the zero time when there is none. It errs to the older.
func (a *ages) oldest(spans map[int32]span, now time.Time, after func(time.Time) (map[int32]stamped, error)) (time.Time, error) {
	a.forget(spans)
	if len(spans) == 0 {
		return time.Time{}, nil
	}
	// Invariant: lo ≤ the time that is sought < hi, when lo is known.
	var lo time.Time
	hi := now.Add(time.Millisecond)
	for back, asked := time.Second, 0; len(a.known) < len(spans) && asked < maxQuestions; asked++ {
		at := now.Add(-back)
		if lo.IsZero() {
			if back *= 2; at.Before(epoch) {
				at = epoch // times before it have other meanings in the protocol
			}
		} else {
			if hi.Sub(lo) <= max(resolution, now.Sub(lo)/8) {
				break
			}
			at = lo.Add(hi.Sub(lo) / 2)
		}
		found, err := after(at)
		if err != nil {
			return time.Time{}, err
		}
		if a.reached(spans, found) || at.Equal(epoch) {
			lo = at
		} else {
			hi = at
		}
	}
	oldest := lo
	if len(a.known) == len(spans) {
		oldest = time.Time{}
	}
	for _, s := range a.known {
		if at := time.UnixMilli(s.milli); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}

// forget drops what is known of partitions whose span begins elsewhere now.
func (a *ages) forget(spans map[int32]span) {
	for partition, s := range a.known {
		if s.offset != spans[partition].next {
			delete(a.known, partition)
		}
	}
	if a.known == nil {
		a.known = map[int32]stamped{}
	}
}

// reached says whether the first records of all spans whose times are not known
// are from the moment asked about or later. It learns the times that were hit.
func (a *ages) reached(spans map[int32]span, found map[int32]stamped) bool {
	all := true
	for partition, s := range spans {
		if _, known := a.known[partition]; known {
			continue
		}
		switch f, answered := found[partition]; {
		case !answered || f.offset > s.next:
			all = false
		case f.offset == s.next && f.milli >= 0:
			a.known[partition] = f
		}
	}
	return all
}

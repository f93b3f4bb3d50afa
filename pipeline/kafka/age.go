package kafka

import "time"

// recordTime is the offset of a record and its time in milliseconds since the Unix epoch.
// A negative time means that there is no record: the offset is the end of the partition.
type recordTime struct{ offset, milli int64 }

// ageFinder finds the time of a group's oldest unconsumed record. A broker returns the
// time of a record at an offset only with the record itself. But it returns the offset
// and the time of the first record since a given time (ListOffsets). So ageFinder
// bisects, and remembers the result while the group does not move.
type ageFinder struct {
	known map[int32]recordTime // by partition
}

// resolution is the error at which the bisection may stop. An eighth of the age may be
// more.
const resolution = 100 * time.Millisecond

// maxRequests bounds the requests of one reading. 31 doublings of a second reach the
// epoch, and a few halvings reach an eighth of that.
const maxRequests = 48

var epoch = time.UnixMilli(0)

// oldest returns the time of the oldest of the records that the spans begin with, or the
// zero time when there is none. The time may be too early, never too late. firstSince
// returns the first record of each partition since a time.
func (a *ageFinder) oldest(
	spans map[int32]span, now time.Time,
	firstSince func(time.Time) (map[int32]recordTime, error),
) (time.Time, error) {
	a.forget(spans)
	if len(spans) == 0 {
		return time.Time{}, nil
	}
	// Invariant: lo ≤ the time to find < hi, once lo is known.
	var lo time.Time
	hi := now.Add(time.Millisecond)
	for back, requests := time.Second, 0; len(a.known) < len(spans) && requests < maxRequests; requests++ {
		at := now.Add(-back)
		if lo.IsZero() {
			if back *= 2; at.Before(epoch) {
				at = epoch // negative times have other meanings in the protocol
			}
		} else {
			if hi.Sub(lo) <= max(resolution, now.Sub(lo)/8) {
				break
			}
			at = lo.Add(hi.Sub(lo) / 2)
		}
		found, err := firstSince(at)
		if err != nil {
			return time.Time{}, err
		}
		if a.allSince(spans, found) || at.Equal(epoch) {
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

// forget drops the times of partitions whose span begins at another record now.
func (a *ageFinder) forget(spans map[int32]span) {
	for partition, s := range a.known {
		if s.offset != spans[partition].next {
			delete(a.known, partition)
		}
	}
	if a.known == nil {
		a.known = map[int32]recordTime{}
	}
}

// allSince reports whether the first records of all spans whose times are not known are
// from the requested time or later. It adds the times that were found to known.
func (a *ageFinder) allSince(spans map[int32]span, found map[int32]recordTime) bool {
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

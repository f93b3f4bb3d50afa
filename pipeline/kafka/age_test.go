package kafka

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// partition holds the times of its records, by offset.
type partition []int64

// after returns what a broker answers: the first record since milli.
func (p partition) after(milli int64) recordTime {
	for offset, at := range p {
		if at >= milli {
			return recordTime{int64(offset), at}
		}
	}
	return recordTime{int64(len(p)), -1}
}

// TestOldest bisects over any number of partitions, positions and ages. The result is
// never later than the truth, and earlier by an eighth of the age or 0.1 s at most.
func TestOldest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(1_800_000_000_000)
		var a ageFinder
		log := make([]partition, rapid.IntRange(1, 4).Draw(t, "partitions"))
		spans := map[int32]span{}
		want := now
		for i := range log {
			at := now.UnixMilli() - rapid.Int64Range(0, 400_000_000).Draw(t, "first")
			for range rapid.IntRange(0, 30).Draw(t, "records") {
				log[i] = append(log[i], at)
				at = min(now.UnixMilli(), at+rapid.Int64Range(0, 50_000_000).Draw(t, "gap"))
			}
			if next := rapid.IntRange(0, len(log[i])).Draw(t, "next"); next < len(log[i]) {
				spans[int32(i)] = span{int64(next), int64(len(log[i]))}
				if first := time.UnixMilli(log[i][next]); first.Before(want) {
					want = first
				}
			}
		}
		requests := 0
		after := func(at time.Time) (map[int32]recordTime, error) {
			requests++
			found := map[int32]recordTime{}
			for i, p := range log {
				found[int32(i)] = p.after(at.UnixMilli())
			}
			return found, nil
		}
		got, err := a.oldest(spans, now, after)
		if err != nil {
			t.Fatal(err)
		}
		if len(spans) == 0 {
			if !got.IsZero() || requests != 0 {
				t.Fatalf("no lag: %s, %d requests", got, requests)
			}
			return
		}
		if requests > 40 {
			t.Errorf("%d requests", requests)
		}
		// Add 1 ms for a record of this very moment, and for the broker's resolution.
		slack := max(resolution, now.Sub(want)/7) + time.Millisecond
		if got.After(want.Add(time.Millisecond)) || got.Before(want.Add(-slack)) {
			t.Errorf("age %s, want %s", now.Sub(got), now.Sub(want))
		}
	})
}

// TestOldestIsRemembered checks that no request is made while the group does not move
// from a record whose time was found.
func TestOldestIsRemembered(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	requests := 0
	after := func(at time.Time) (map[int32]recordTime, error) {
		requests++
		return map[int32]recordTime{0: partition{now.UnixMilli() - 5000, now.UnixMilli()}.after(at.UnixMilli())}, nil
	}
	var a ageFinder
	spans := map[int32]span{0: {0, 2}}
	if got, _ := a.oldest(spans, now, after); now.Sub(got) != 5*time.Second {
		t.Errorf("age %s", now.Sub(got))
	}
	if requests == 0 {
		t.Error("no request was made")
	}
	requests = 0
	later := now.Add(time.Minute)
	if got, _ := a.oldest(spans, later, after); later.Sub(got) != 65*time.Second || requests != 0 {
		t.Errorf("a minute later: age %s, %d requests", later.Sub(got), requests)
	}
	if got, _ := a.oldest(map[int32]span{0: {1, 2}}, later, after); later.Sub(got) != 60*time.Second || requests == 0 {
		t.Errorf("one record further: age %s, %d requests", later.Sub(got), requests)
	}
	if got, _ := a.oldest(nil, later, after); !got.IsZero() {
		t.Errorf("at the end: %s", got)
	}
}

func TestOldestWithoutAnswer(t *testing.T) {
	var a ageFinder
	failed := errors.New("no broker")
	_, err := a.oldest(map[int32]span{0: {0, 1}}, time.Now(), func(time.Time) (map[int32]recordTime, error) {
		return nil, failed
	})
	if !errors.Is(err, failed) {
		t.Error(err)
	}
}

// TestOldestWithoutTimes checks that records without a time count as old, and that the
// search ends.
func TestOldestWithoutTimes(t *testing.T) {
	var a ageFinder
	now := time.UnixMilli(1_800_000_000_000)
	requests := 0
	got, err := a.oldest(map[int32]span{0: {0, 1}}, now, func(time.Time) (map[int32]recordTime, error) {
		requests++
		return map[int32]recordTime{0: {1, -1}}, nil
	})
	if err != nil || now.Sub(got) < 24*time.Hour || requests > maxRequests {
		t.Errorf("%s %v after %d requests", now.Sub(got), err, requests)
	}
}

package s3

import (
	"fmt"
	"testing"
)

// TestRemovedMakeRoom checks that leftovers that were removed, and wait for what may still
// come, give their places to those that were not. Only when nothing else waits is one
// given up.
func TestRemovedMakeRoom(t *testing.T) {
	var told []string
	s := &Store{options: Options{LeftBehind: func(key string, err error) { told = append(told, key) }}}
	s.cleaner = newCleaner(s)
	c := s.cleaner
	var waiting []leftover
	for i := range maxLeftovers {
		waiting = c.enlist(waiting, leftover{key: fmt.Sprint("old ", i), late: true, removed: i % 3})
	}
	removed := maxLeftovers - (maxLeftovers+2)/3
	for i := range removed {
		waiting = c.enlist(waiting, leftover{key: fmt.Sprint("new ", i)})
	}
	if len(told) > 0 {
		t.Errorf("%d were given up while others had been removed: %q", len(told), told[0])
	}
	left := map[string]bool{}
	for _, l := range waiting {
		left[l.key] = true
		if l.removed > 0 {
			t.Fatalf("%s still waits", l.key)
		}
	}
	if len(left) != maxLeftovers {
		t.Errorf("%d wait, want %d", len(left), maxLeftovers)
	}
	c.enlist(waiting, leftover{key: "too many"})
	if fmt.Sprint(told) != "[too many]" || s.LeftBehind() != 1 {
		t.Errorf("given up: %q", told)
	}
}

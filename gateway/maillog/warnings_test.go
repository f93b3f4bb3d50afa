package maillog

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/testkit"
)

// TestWarningsAreBounded checks that while each message has a warning a few of each kind
// are logged in a second, and that the others are counted.
func TestWarningsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s testkit.Buffer
		m := New(Options{}, &s)
		const seconds, each = 3, 500
		for range seconds {
			for range each {
				m.LeftBehind("k", errors.New("503 Slow Down"))
				m.PackSplit(40, errors.New("413 Entity Too Large"))
			}
			time.Sleep(reportEvery + time.Millisecond)
		}
		m.Close()
		for text, want := range map[string]int{
			"left an object or upload in the bucket\"": seconds * warningLines,
			"the store refused a pack:":                seconds * warningLines,
			"since_start=1470":                         2, // one of each kind
		} {
			if got := strings.Count(s.String(), text); got != want {
				t.Errorf("%d lines with %q, want %d", got, text, want)
			}
		}
		if got := m.Omitted(); got != 2*seconds*(each-warningLines) || m.Dropped() != 0 {
			t.Errorf("%d left out, %d dropped", got, m.Dropped())
		}
	})
}

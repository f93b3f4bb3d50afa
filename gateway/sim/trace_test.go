package sim

import (
	"fmt"
	"strings"
	"time"
)

// traceKept is how many of the last steps a failing world shows.
const traceKept = 60

// trace remembers the last steps and a hash of all (FNV-1a), by which two runs of
// a seed are compared.
type trace struct {
	hash  uint64
	count int
	last  [traceKept]note
}

// note is one step: what happened to whom, with a number that says more.
type note struct {
	at     time.Duration
	what   string
	who, n int
	text   string
}

func (t *trace) add(x note) {
	if t.count == 0 {
		t.hash = 14695981039346656037
	}
	t.last[t.count%traceKept] = x
	t.count++
	t.number(uint64(x.at))
	t.number(uint64(x.who)<<32 ^ uint64(x.n))
	t.letters(x.what)
	t.letters(x.text)
}

func (t *trace) number(v uint64) {
	t.hash = (t.hash ^ v) * 1099511628211
	t.hash ^= t.hash >> 29
}

func (t *trace) letters(s string) {
	for i := range len(s) {
		t.hash = (t.hash ^ uint64(s[i])) * 1099511628211
	}
}

// String returns the last steps, a line each.
func (t *trace) String() string {
	var b strings.Builder
	for i := max(0, t.count-traceKept); i < t.count; i++ {
		x := &t.last[i%traceKept]
		fmt.Fprintf(&b, "%12s  %-16s %4d %7d  %s\n", x.at.Round(time.Microsecond), x.what, x.who, x.n, x.text)
	}
	return b.String()
}

package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// event is an event of go test -json (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string

	Elapsed float64 // seconds
}

// report keeps the output of a test until it has ended, and which failed until the end.
type report struct {
	out    io.Writer
	open   map[key][]string // the output, line by line
	failed []failure
	broken []string // what the compiler said
}

// key names a test, or what a package prints outside of its tests.
type key struct{ pkg, test string }

type failure struct {
	key
	seconds  float64
	messages []string
}

func newReport(out io.Writer) *report { return &report{out: out, open: map[key][]string{}} }

func (r *report) print(text string) { _, _ = io.WriteString(r.out, text) }

// add follows an event. The end of a package is the last one of it.
func (r *report) add(e *event) {
	at := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.open[at] = append(r.open[at], e.Output)
	case "build-output":
		r.broken = append(r.broken, e.Output)
		r.print(e.Output)
	case "pass", "skip":
		if lines := r.open[at]; e.Test == "" && len(lines) > 0 {
			r.print(lines[len(lines)-1]) // "ok" and its time
		}
		delete(r.open, at)
	case "fail":
		if e.Test == "" {
			r.unended(e)
		}
		r.fail(at, e.Elapsed)
	}
}

// unended counts the tests as failed that had not ended when their package did.
func (r *report) unended(e *event) {
	var left []string
	for at := range r.open {
		if at.pkg == e.Package && at.test != "" {
			left = append(left, at.test)
		}
	}
	slices.Sort(left)
	for _, test := range left {
		r.fail(key{e.Package, test}, e.Elapsed)
	}
}

func (r *report) fail(at key, seconds float64) {
	lines := r.open[at]
	r.print(strings.Join(lines, ""))
	r.failed = append(r.failed, failure{at, seconds, messages(lines)})
	delete(r.open, at)
}

// What a summary says at most.
const (
	mostLines   = 40
	mostOfOne   = 6
	mostOfALine = 300
)

// message matches a line of t.Error or its like, of a panic, or of the race detector.
var message = regexp.MustCompile(`^ +\S+\.go:\d+: |^\s*panic: |^fatal error: |^WARNING: DATA RACE|\[build failed\]`)

// messages returns the last messages in an output, which say why a test failed.
func messages(lines []string) (all []string) {
	for _, line := range lines {
		if message.MatchString(line) {
			line = strings.TrimSpace(line)
			all = append(all, line[:min(len(line), mostOfALine)])
		}
	}
	return all[max(len(all)-mostOfOne, 0):]
}

// end prints the names and messages of all that failed.
func (r *report) end() {
	if len(r.failed) == 0 && len(r.broken) == 0 {
		return
	}
	var lines []string
	for _, text := range r.broken {
		lines = append(lines, strings.TrimSuffix(text, "\n"))
	}
	for _, f := range r.failed {
		if r.named(f) {
			continue
		}
		lines = append(lines, fmt.Sprintf("FAIL %s (%.2fs)", strings.TrimSpace(f.pkg+" "+f.test), f.seconds))
		for _, m := range f.messages {
			lines = append(lines, "    "+m)
		}
	}
	if left := len(lines) - mostLines; left > 0 {
		lines = append(lines[:mostLines], fmt.Sprintf("and %d lines more", left))
	}
	r.print("\nFailed:\n" + strings.Join(lines, "\n") + "\n")
}

// named reports whether a part of f failed, which has a line of its own, and f itself has
// nothing to say.
func (r *report) named(f failure) bool {
	if len(f.messages) > 0 {
		return false
	}
	for _, other := range r.failed {
		if other.pkg == f.pkg && other.test != f.test && (f.test == "" || strings.HasPrefix(other.test, f.test+"/")) {
			return true
		}
	}
	return false
}

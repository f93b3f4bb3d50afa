package stack

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// Package stands for the whole of a package's tests where a fixture takes a test: what
// all of them share begins with the first that asks for it and ends after the last.
type Package struct {
	testing.TB // nil: methods that fixtures do not use

	mu       sync.Mutex
	cleanups []func()
	failure  string
}

// Run runs the tests, ends what they shared, and returns the exit code.
func (p *Package) Run(m *testing.M) int {
	code := m.Run()
	for _, f := range slices.Backward(p.cleanups) {
		f()
	}
	return code
}

// Share calls start, which may fail p, in a goroutine of its own. The returned error
// says why start failed.
func (p *Package) Share(start func(testing.TB)) error {
	ended, done := make(chan struct{}), false
	go func() { // of its own, for Goexit
		defer close(ended)
		start(p)
		done = true
	}()
	<-ended
	if !done {
		return fmt.Errorf("%s (make tools installs what is missing)", p.failure)
	}
	return nil
}

// Helper implements testing.TB.
func (p *Package) Helper() {}

// Failed implements testing.TB: it reports whether a fixture failed.
func (p *Package) Failed() bool { return p.failure != "" }

// Cleanup implements testing.TB: f is called after the last test of the package.
func (p *Package) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

// TempDir implements testing.TB.
func (p *Package) TempDir() string {
	dir, err := os.MkdirTemp("", "sluice-test-")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Logf implements testing.TB.
func (p *Package) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Error implements testing.TB.
func (p *Package) Error(args ...any) { p.failure = fmt.Sprint(args...) }

// Fatal implements testing.TB: it ends the fixture's goroutine.
func (p *Package) Fatal(args ...any) {
	p.failure = fmt.Sprint(args...)
	runtime.Goexit()
}

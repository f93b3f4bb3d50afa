// Package testkit has what tests of several packages need: waiting for a condition,
// tools that may be missing, and a buffer that may be read while it is written.
package testkit

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is far longer than any condition takes; only one that never holds reaches it.
const patience = time.Minute

// Eventually waits for a condition that other goroutines or processes bring about. It
// fails the test, naming what was waited for, if the condition does not come.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	began := time.Now()
	for !holds() {
		waited := time.Since(began)
		if waited > patience {
			t.Fatalf("not within %s: %s", patience, what)
		}
		// A condition that takes long is looked at less often: looking costs time, too.
		time.Sleep(min(time.Millisecond+waited/20, 20*time.Millisecond))
	}
}

// Missing ends a test for which the machine lacks something. The test is skipped; with
// TEST_TOOLS=required, as make test says, it fails.
func Missing(t testing.TB, lacks string) {
	t.Helper()
	if os.Getenv("TEST_TOOLS") == "required" {
		t.Fatal(lacks)
	}
	t.Skip(lacks)
}

// Tool returns the path of a program that is not part of Go, or ends the test as Missing.
func Tool(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, err.Error()+" (make tools installs it)")
	}
	return path
}

// Root ends a test as Missing where it does not run as root. why says what needs root.
func Root(t testing.TB, why string) {
	t.Helper()
	if os.Getuid() != 0 {
		Missing(t, "not root: "+why)
	}
}

// Deadline returns a context that kills a child process that hangs, or that a failed test
// leaves behind.
func Deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// Buffer is a bytes.Buffer that several goroutines may use.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Lines returns what was written so far, line by line.
func (b *Buffer) Lines() []string { return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") }

package embedded_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sluice/pipeline/embedded"
)

// takeDescriptors takes all descriptors of the process. free frees them.
func takeDescriptors() (free func(), err error) {
	var taken []*os.File
	free = func() {
		for _, f := range taken {
			_ = f.Close()
		}
	}
	few := syscall.Rlimit{Cur: 128, Max: 128}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		return free, err
	}
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			return free, nil
		}
		if err != nil {
			return free, err
		}
		taken = append(taken, f)
	}
}

// TestNoDescriptors publishes while the process has no free descriptor: that event fails,
// and the next one does not, without a restart.
func TestNoDescriptors(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childShort+"=1", childFolder+"="+filepath.Join(t.TempDir(), "kafka"))
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 4 || !strings.Contains(lines[2], "too many open files") {
		t.Fatalf("the child said %q", lines)
	}
	for _, line := range []string{lines[1], lines[3]} {
		if strings.HasPrefix(line, "failed") {
			t.Error(line)
		}
	}
}

// shortListener has no descriptor for its first connections.
type shortListener struct {
	net.Listener
	left atomic.Int32
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// TestAcceptsAgain checks that the broker accepts connections after some could not be.
func TestAcceptsAgain(t *testing.T) {
	o := options(t)
	o.Bound = func(l net.Listener) net.Listener {
		short := &shortListener{Listener: l}
		short.left.Store(3)
		return short
	}
	b, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// Package process runs servers as child processes, as their users would start
// them, and looks at them from outside.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one running server. It ends with the program that started it.
type Process struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{}
	err    error // of Wait; to be read after ended is closed
	once   sync.Once
}

// Start runs a program. What it prints is kept (its last part) for Output. It does
// not see SLUICE_ variables of this environment, which would overrule the
// configuration that it is given.
func Start(name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(name, args...), output: &tail{}, ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SLUICE_") })
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// PID is the process number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is the last part of what the process printed.
func (p *Process) Output() string { return p.output.String() }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// CPU is the CPU time, user and system, that all threads of the process
// have used. The clock of the process counts what wait4 reports as rusage when it
// has ended, but it can be read before, and in nanoseconds.
func (p *Process) CPU() (time.Duration, error) { return CPU(p.PID()) }

// CPU is the CPU time of any process.
func CPU(pid int) (time.Duration, error) {
	// CPUCLOCK_SCHED of a whole process: include/linux/posix-timers.h,
	// make_process_cpuclock.
	clock := int32(^pid<<3 | 2)
	var at unix.Timespec
	if err := unix.ClockGettime(clock, &at); err != nil {
		return 0, fmt.Errorf("CPU time of %d: %w", pid, err)
	}
	return time.Duration(at.Nano()), nil
}

// Rusage is the CPU time that wait4 reported. It is to be asked for when
// the process has ended.
func (p *Process) Rusage() time.Duration {
	state := p.cmd.ProcessState
	return state.UserTime() + state.SystemTime()
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process as kill -9 does and waits for its end.
func (p *Process) Kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		<-p.ended
	})
}

// Wait waits until the process ends by itself. A process that ends with a status
// other than 0 is an *exec.ExitError.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%s still runs: %w", p.cmd.Path, ctx.Err())
	}
}

// Stop asks the process to end (SIGTERM) and waits until it has; when ctx ends
// before, it is killed.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := p.Wait(ctx)
	p.Kill()
	return err
}

// tail keeps the last bytes written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 64 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > 2*tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}

package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// TestScheduling checks that every thread of a running gateway is in the configured
// class, with the nice value that it was started with.
func TestScheduling(t *testing.T) {
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	usual := []string{"chrt", "--other", "0"}
	for _, c := range []struct {
		scheduling string
		starter    []string // precedes the gateway's own command
		policy     uint32
		nice       int32 // relative to that of this test
	}{
		{config.SchedulingBatch, usual, unix.SCHED_BATCH, 0},
		{config.SchedulingBatch, append(usual, "nice", "-n", "3"), unix.SCHED_BATCH, 3},
		{config.SchedulingInherit, usual, unix.SCHED_NORMAL, 0},
	} {
		t.Run(c.scheduling+", "+strings.Join(c.starter, " "), func(t *testing.T) {
			for id, got := range threadsOf(t, runScheduled(t, c.scheduling, c.starter)) {
				if got.Policy != c.policy || got.Nice != own.Nice+c.nice {
					t.Errorf("thread %d: class %d, nice %d; want %d, %d", id, got.Policy, got.Nice, c.policy, own.Nice+c.nice)
				}
			}
		})
	}
}

// TestIdleThreadStays checks that a thread which was put into another class than the
// default one stays there. A whole gateway in the idle class would get nowhere on a busy
// machine.
func TestIdleThreadStays(t *testing.T) {
	ids, over := make(chan int), make(chan struct{})
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its goroutine
		ids <- unix.Gettid()
		<-over
	}()
	id := <-ids
	defer close(over)
	if err := unix.SchedSetAttr(id, &unix.SchedAttr{Policy: unix.SCHED_IDLE}, 0); err != nil {
		t.Fatal(err)
	}
	if err := batchThreads(); err != nil {
		t.Error(err)
	}
	if got, err := unix.SchedGetAttr(id, 0); err != nil || got.Policy != unix.SCHED_IDLE {
		t.Errorf("got %+v, %v", got, err)
	}
}

// scheduledEnv makes the test binary run as a gateway with this scheduling.
const scheduledEnv = "TEST_SCHEDULING"

// TestScheduledGateway is that gateway, until its input ends.
func TestScheduledGateway(t *testing.T) {
	scheduling := os.Getenv(scheduledEnv)
	if scheduling == "" {
		return
	}
	r := launch(t, func(c *config.Config) { c.Process.Scheduling = scheduling })
	fmt.Println("\nready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	r.end(t)
}

// runScheduled starts that gateway, through starter if there is one, and returns its PID.
func runScheduled(t *testing.T, scheduling string, starter []string) (pid int) {
	t.Helper()
	command := slices.Concat(starter, []string{os.Args[0], "-test.run=^TestScheduledGateway$"})
	child := exec.CommandContext(testkit.Deadline(t), command[0], command[1:]...)
	child.Env = append(os.Environ(), scheduledEnv+"="+scheduling)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		_ = in.Close()
		for lines.Scan() {
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	})
	for lines.Scan() {
		if lines.Text() == "ready" {
			return child.Process.Pid
		}
	}
	t.Fatal("the gateway ended")
	return 0
}

// threadsOf returns the scheduling attributes of a process's threads.
func threadsOf(t *testing.T, pid int) map[int]*unix.SchedAttr {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	threads := map[int]*unix.SchedAttr{}
	for _, entry := range entries {
		id, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		threads[id] = attr
	}
	if len(threads) == 0 {
		t.Fatal("no threads")
	}
	return threads
}

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// batchThreads puts the threads of this process into SCHED_BATCH (sched(7)): one
// that wakes up does not interrupt who runs, so that it finds more to do at once. A
// thread inherits the class of the one that starts it. What somebody has put into
// another class than the usual one, as by chrt, stays there.
func batchThreads() error {
	for {
		moved, err := batchThreadsOnce()
		if err != nil || moved == 0 { // else one may have been started meanwhile
			return err
		}
	}
}

func batchThreadsOnce() (moved int, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0, err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return moved, err
		}
		batch, err := batchThread(id)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return moved, fmt.Errorf("sched_setattr, thread %d: %w", id, err)
		}
		if batch {
			moved++
		}
	}
	return moved, nil
}

// batchThread says whether it moved the thread.
func batchThread(id int) (bool, error) {
	was, err := unix.SchedGetAttr(id, 0)
	if err != nil || was.Policy != unix.SCHED_NORMAL {
		return false, err
	}
	// Runtime, which is the thread's slice since Linux 6.12, stays the system's.
	return true, unix.SchedSetAttr(id, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH, Nice: was.Nice,
		Flags: was.Flags & unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
}

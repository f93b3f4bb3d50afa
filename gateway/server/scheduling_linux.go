package server

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// batchThreads puts the threads of this process into SCHED_BATCH (sched(7)). A thread in
// that class that wakes up does not preempt a running one, so it finds more to do at
// once. A thread inherits the class of the thread that starts it. Threads that have been
// put into another class than the default one, as by chrt, stay there.
func batchThreads() error {
	for range batchPasses {
		changed, err := batchThreadsOnce()
		if err != nil || !changed { // otherwise a thread may have been started meanwhile
			return err
		}
	}
	return errors.New("threads do not stay in SCHED_BATCH")
}

// batchPasses is the number of passes after which the threads must stay in the class.
const batchPasses = 16

// batchThreadsOnce moves every thread once, and reports whether one was moved or has ended.
func batchThreadsOnce() (changed bool, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return changed, err
		}
		moved, err := batchThread(id)
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return changed, err
		}
		changed = changed || moved || err != nil
	}
	return changed, nil
}

// batchThread moves a thread that is in the default class, and reports whether it did.
func batchThread(id int) (bool, error) {
	was, err := unix.SchedGetAttr(id, 0)
	if err != nil {
		return false, fmt.Errorf("sched_getattr: %w", err)
	}
	if was.Policy != unix.SCHED_NORMAL {
		return false, nil
	}
	// Runtime, the slice of the thread since Linux 6.12, stays at the system's default.
	err = unix.SchedSetAttr(id, &unix.SchedAttr{
		Policy: unix.SCHED_BATCH, Nice: was.Nice, Flags: was.Flags & unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	if err != nil {
		return false, fmt.Errorf("sched_setattr: %w", err)
	}
	return true, nil
}

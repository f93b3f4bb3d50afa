package server

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
	for range batchPasses {
		changed, err := batchThreadsOnce()
		if err != nil || !changed { // else one may have been started meanwhile
			return err
		}
	}
	return errors.New("threads do not stay in SCHED_BATCH")
}

// batchPasses over the threads are enough, unless a system only seems to obey.
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

// batchThread moves a thread, and reports whether it was elsewhere before.
func batchThread(id int) (bool, error) {
	was, err := unix.SchedGetAttr(id, 0)
	if err != nil {
		return false, fmt.Errorf("sched_getattr: %w", err)
	}
	if was.Policy != unix.SCHED_NORMAL {
		return false, nil
	}
	// Runtime, which is the thread's slice since Linux 6.12, stays the system's.
	err = unix.SchedSetAttr(id, &unix.SchedAttr{
		Policy: unix.SCHED_BATCH, Nice: was.Nice, Flags: was.Flags & unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0)
	if err != nil {
		return false, fmt.Errorf("sched_setattr: %w", err)
	}
	return true, nil
}

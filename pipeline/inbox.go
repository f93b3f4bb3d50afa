package pipeline

import "sync/atomic"

// Task is an intrusive node of an Inbox. It carries a result, such as that of a message
// or a grant of credit, to the loop that owns it without allocating. It is embedded in
// what it carries, and may be in one inbox at a time.
type Task struct {
	next *Task
	// Run is called by the receiving loop, on its own thread. It is set while the task
	// is in no inbox.
	Run func()
}

// Poster takes tasks to the loop behind it. Post may be called from any goroutine,
// never blocks, and never runs the task itself.
type Poster interface {
	Post(t *Task)
}

// Inbox is the lock-free queue of a loop: many senders, one receiver (MPSC). The zero
// value is empty.
type Inbox struct {
	head atomic.Pointer[Task]
}

// Push adds a task and reports whether the inbox was empty before.
func (b *Inbox) Push(t *Task) (wasEmpty bool) {
	for {
		head := b.head.Load()
		t.next = head
		if b.head.CompareAndSwap(head, t) {
			return head == nil
		}
	}
}

// Empty reports whether no task waits.
func (b *Inbox) Empty() bool { return b.head.Load() == nil }

// RunAll takes all tasks that wait and runs them in the order in which they were
// pushed. A task that is pushed meanwhile stays for the next call. RunAll returns the
// number of tasks run.
func (b *Inbox) RunAll() int {
	newest := b.head.Swap(nil)
	var oldest *Task
	for newest != nil {
		newest.next, oldest, newest = oldest, newest, newest.next
	}
	n := 0
	for oldest != nil {
		t := oldest
		oldest = t.next
		t.next = nil
		t.Run()
		n++
	}
	return n
}

package pipeline_test

import (
	"runtime"
	"sync"
	"testing"

	"sluice/pipeline"
)

// TestInboxOrder shows that one sender's tasks are run in their order, and
// that what is pushed while opening waits for the next call.
func TestInboxOrder(t *testing.T) {
	var inbox pipeline.Inbox
	var opened []int
	tasks := make([]pipeline.Task, 10)
	for i := range tasks {
		tasks[i].Run = func() {
			opened = append(opened, i)
			if i == 0 {
				inbox.Push(&tasks[9])
			}
		}
	}
	for i := range 9 {
		if wasEmpty := inbox.Push(&tasks[i]); wasEmpty != (i == 0) {
			t.Errorf("task %d: was empty %t", i, wasEmpty)
		}
	}
	if n := inbox.RunAll(); n != 9 {
		t.Errorf("%d opened", n)
	}
	if inbox.Empty() {
		t.Error("what was pushed meanwhile is gone")
	}
	if n := inbox.RunAll(); n != 1 || !inbox.Empty() {
		t.Errorf("%d opened", n)
	}
	for i, got := range opened {
		if got != i {
			t.Errorf("place %d: task %d", i, got)
		}
	}
	if n := inbox.RunAll(); n != 0 {
		t.Errorf("%d opened of an empty inbox", n)
	}
}

// TestInboxManySenders sends from many goroutines to one owner: each task is
// opened once, each sender's in their order, and every start of a queue is told.
func TestInboxManySenders(t *testing.T) {
	const senders, each = 8, 2000
	var inbox pipeline.Inbox
	wake := make(chan struct{}, senders*each)
	next := make([]int, senders)
	var group sync.WaitGroup
	for s := range senders {
		group.Go(func() {
			tasks := make([]pipeline.Task, each)
			for i := range tasks {
				tasks[i].Run = func() {
					if next[s] != i {
						t.Errorf("sender %d: task %d, want %d", s, i, next[s])
					}
					next[s]++
				}
				if inbox.Push(&tasks[i]) {
					wake <- struct{}{}
				}
				if i%100 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	go func() {
		group.Wait()
		close(wake)
	}()
	// The owner looks only when it is told to: no task may be left behind.
	total := 0
	for range wake {
		total += inbox.RunAll()
	}
	if total != senders*each {
		t.Errorf("%d opened, want %d", total, senders*each)
	}
}

package dir

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// openPacking opens a store with one lane, on a file system that records calls and can be
// stalled.
func openPacking(t *testing.T) (*Store, *recordingFS, *stallingFS) {
	t.Helper()
	r := &recordingFS{root: filepath.Join(t.TempDir(), "mail"), fail: map[string]error{}}
	stalling := &stallingFS{}
	s, err := open(Options{Path: r.root, Concurrency: 1, Pack: &pack.Options{Lanes: 1}}, recordingStallingFS{r, stalling})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, r, stalling
}

// recordingStallingFS records calls, and waits in Create.
type recordingStallingFS struct {
	*recordingFS
	stalling *stallingFS
}

func (b recordingStallingFS) Create(name string) (file, error) {
	b.stalling.gate.RLock()
	defer b.stalling.gate.RUnlock()
	return b.recordingFS.Create(name)
}

// storeTogether stores a message that keeps the lane busy, and then others that share a
// file. It calls before when all of them wait.
func storeTogether(t *testing.T, s *Store, stalling *stallingFS, before func()) []*porttest.Sent {
	t.Helper()
	stalling.gate.Lock()
	all := make([]*porttest.Sent, 6)
	var group sync.WaitGroup
	store := func(i int, m *pipeline.Message) {
		group.Go(func() {
			var err error
			if all[i], err = porttest.Store(s, m); err != nil {
				t.Error(err)
			}
		})
	}
	store(0, porttest.NewMessage([]byte("alone\r\n")))
	for s.Batcher().Busy() == 0 {
		time.Sleep(time.Millisecond)
	}
	size := int64(0)
	for i := 1; i < len(all); i++ {
		m := porttest.NewMessage([]byte(strings.Repeat("body\r\n", i)))
		size += m.Length()
		store(i, m)
	}
	for s.Batcher().WaitingBytes() < size {
		time.Sleep(time.Millisecond)
	}
	before()
	stalling.gate.Unlock()
	group.Wait()
	return all
}

// TestPackIsOneFile checks that a pack is one file with one fsync.
func TestPackIsOneFile(t *testing.T) {
	s, r, stalling := openPacking(t)
	r.take()
	all := storeTogether(t, s, stalling, func() {})
	calls := r.take()
	for call, want := range map[string]int{"create": 2, "fsync": 2, "rename": 2} {
		got := len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return !strings.HasPrefix(c, call+" ") }))
		if got != want {
			t.Errorf("%s: %d times, want %d in\n%s", call, got, want, strings.Join(calls, "\n"))
		}
	}
	for i, sent := range all {
		if sent.Err != nil || (sent.Blob.Container == pipeline.ContainerTar) != (i > 0) {
			t.Errorf("message %d: %v %+v", i, sent.Err, sent.Blob)
		}
	}
	checkObjects(t, s, 2)
}

// TestPackFails fails each step. The messages are then stored one by one, each with a
// failure of its own if that goes on, and nothing may be left.
func TestPackFails(t *testing.T) {
	for _, step := range []string{"create", "write", "fsync", "close", "rename", "syncdir"} {
		for err, kind := range map[syscall.Errno]pipeline.Kind{
			syscall.EIO: pipeline.KindTemporary, syscall.ENOSPC: pipeline.KindFull,
		} {
			t.Run(step+" "+err.Error(), func(t *testing.T) {
				s, r, stalling := openPacking(t)
				all := storeTogether(t, s, stalling, func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					r.fail[step] = err
				})
				for i, sent := range all {
					if pipeline.KindOf(sent.Err) != kind {
						t.Errorf("message %d: %v", i, sent.Err)
					}
				}
				r.mu.Lock()
				clear(r.fail)
				r.mu.Unlock()
				checkObjects(t, s, 0)
				if err := s.Close(); err != nil || s.Depth() != 0 {
					t.Errorf("%v, depth %d", err, s.Depth())
				}
			})
		}
	}
}

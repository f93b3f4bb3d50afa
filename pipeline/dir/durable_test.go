package dir

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// recordingFS records every call, with names relative to root, and can fail some.
type recordingFS struct {
	osFileSystem
	root string

	mu    sync.Mutex
	calls []string
	fail  map[string]error // by the call's first word and the last of its name
}

// note records a call. It is called before the call, except for fsync, which counts only
// once it is done.
func (r *recordingFS) note(call, name string) error {
	rel, err := filepath.Rel(r.root, name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call+" "+rel)
	return r.fail[call]
}

func (r *recordingFS) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

func (r *recordingFS) Mkdir(name string) error {
	if err := r.note("mkdir", name); err != nil {
		return err
	}
	return r.osFileSystem.Mkdir(name)
}

func (r *recordingFS) Create(name string) (file, error) {
	if err := r.note("create", name); err != nil {
		return nil, err
	}
	f, err := r.osFileSystem.Create(name)
	return &recordingFile{f, r, name}, err
}

func (r *recordingFS) Rename(from, to string) error {
	if err := r.note("rename", to); err != nil {
		return err
	}
	return r.osFileSystem.Rename(from, to)
}

func (r *recordingFS) Remove(name string) error {
	return errors.Join(r.note("remove", name), r.osFileSystem.Remove(name))
}

func (r *recordingFS) SyncDir(name string) error {
	return errors.Join(r.osFileSystem.SyncDir(name), r.note("syncdir", name))
}

type recordingFile struct {
	file
	r    *recordingFS
	name string
}

func (f *recordingFile) Write(p []byte) (int, error) {
	if err := f.r.note("write", f.name); err != nil {
		return len(p) / 2, err
	}
	return f.file.Write(p)
}

func (f *recordingFile) Sync() error {
	return errors.Join(f.file.Sync(), f.r.note("fsync", f.name))
}

func (f *recordingFile) Close() error {
	return errors.Join(f.file.Close(), f.r.note("close", f.name))
}

func openRecording(t *testing.T) (*Store, *recordingFS) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "mail")
	r := &recordingFS{root: root, fail: map[string]error{}}
	s, err := open(Options{Path: root, Concurrency: 1}, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, r
}

// resultPoster records the result among the calls, on the writer's goroutine.
type resultPoster struct {
	r    *recordingFS
	done chan struct{}
}

func (d resultPoster) Post(*pipeline.Task) {
	_ = d.r.note("result", d.r.root)
	close(d.done)
}

func put(s *Store, r *recordingFS, m *pipeline.Message) {
	poster := resultPoster{r, make(chan struct{})}
	m.Loop = poster
	s.Put(m)
	<-poster.done
}

// TestOrderOfCalls proves durability: the bytes are synced before the rename, and the
// entries of the file and of each new folder before the result.
func TestOrderOfCalls(t *testing.T) {
	s, r := openRecording(t)
	wantOpen := []string{"syncdir ../..", "mkdir .", "syncdir ..", "mkdir tmp", "syncdir ."}
	if got := r.take(); !slices.Equal(got, wantOpen) {
		t.Errorf("Open: %q, want %q", got, wantOpen)
	}
	m := porttest.NewMessage([]byte("body"))
	hour := filepath.Dir(m.Key())
	day, month, year := filepath.Dir(hour), filepath.Dir(filepath.Dir(hour)), filepath.Dir(filepath.Dir(filepath.Dir(hour)))
	put(s, r, m)
	want := []string{
		"create tmp/0-1", "write tmp/0-1", "fsync tmp/0-1", "close tmp/0-1",
		"mkdir " + year, "syncdir .",
		"mkdir " + month, "syncdir " + year,
		"mkdir " + day, "syncdir " + month,
		"mkdir " + hour, "syncdir " + day,
		"rename " + m.Key(), "syncdir " + hour,
		"result .",
	}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("first message:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	next := porttest.NewMessage([]byte("body"))
	next.ID = pipeline.NewID(m.ID.Time(), fixed(7))
	put(s, r, next)
	want = []string{
		"create tmp/0-2", "write tmp/0-2", "fsync tmp/0-2", "close tmp/0-2",
		"rename " + next.Key(), "syncdir " + hour,
		"result .",
	}
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("second message:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

type fixed uint64

func (f fixed) Uint64() uint64 { return uint64(f) }

// TestFailures fails each step. The result must be a failure of the right kind, nothing
// may be left under the key or in tmp, and the next message must be stored.
func TestFailures(t *testing.T) {
	for _, step := range []string{"create", "write", "fsync", "close", "mkdir", "rename", "syncdir"} {
		for _, test := range []struct {
			err  error
			kind pipeline.Kind
		}{
			{syscall.EIO, pipeline.KindTemporary},
			{syscall.ENOSPC, pipeline.KindFull},
			{syscall.EDQUOT, pipeline.KindFull},
			{syscall.EACCES, pipeline.KindTemporary},
		} {
			t.Run(fmt.Sprint(step, " ", test.err), func(t *testing.T) {
				s, r := openRecording(t)
				r.mu.Lock()
				r.fail[step] = test.err
				r.mu.Unlock()
				sent, err := porttest.Store(s, porttest.NewMessage(make([]byte, 100<<10)))
				if err != nil {
					t.Fatal(err)
				}
				if kind := pipeline.KindOf(sent.Err); kind != test.kind || !errors.Is(sent.Err, test.err) {
					t.Errorf("kind %s of %v, want %s", kind, sent.Err, test.kind)
				}
				if sent.Blob != (pipeline.Blob{}) {
					t.Errorf("a failure with a blob: %+v", sent.Blob)
				}
				r.mu.Lock()
				clear(r.fail)
				r.mu.Unlock()
				checkObjects(t, s, 0)
				sent, err = porttest.Store(s, porttest.NewMessage([]byte("body")))
				if err != nil || sent.Err != nil {
					t.Errorf("the next message: %v %v", err, sent.Err)
				}
				checkObjects(t, s, 1)
			})
		}
	}
}

// checkObjects checks the number of objects, and that tmp is empty.
func checkObjects(t *testing.T, s *Store, want int) {
	t.Helper()
	objects := 0
	err := s.List(t.Context(), func(key string, _ int64) error {
		objects++
		r, err := s.Open(t.Context(), key, 0, 1<<30)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if objects != want {
		t.Errorf("%d objects, want %d", objects, want)
	}
	left, err := filepath.Glob(filepath.Join(s.tmp, "*-*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left in tmp: %q", left)
	}
}

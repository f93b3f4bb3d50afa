package dir

import (
	"os"
	"strings"
	"testing"

	"sluice/pipeline/porttest"
)

// panickingFS panics at some calls while broken.
type panickingFS struct {
	osFileSystem
	at     string
	broken bool
}

func (p *panickingFS) panicAt(call string) {
	if p.broken && p.at == call {
		panic(call)
	}
}

func (p *panickingFS) Create(name string) (file, error) {
	p.panicAt("create")
	f, err := p.osFileSystem.Create(name)
	return panickingFile{f, p}, err
}

func (p *panickingFS) Rename(from, to string) error {
	p.panicAt("rename")
	return p.osFileSystem.Rename(from, to)
}

type panickingFile struct {
	file
	fs *panickingFS
}

func (f panickingFile) Write(b []byte) (int, error) {
	f.fs.panicAt("write")
	return f.file.Write(b)
}

// TestWriterPanics checks that a panic of a writer fails its message, wherever it strikes,
// and that the writer goes on.
func TestWriterPanics(t *testing.T) {
	for _, at := range []string{"create", "write", "rename"} {
		calls := &panickingFS{at: at}
		s, err := open(Options{Path: t.TempDir(), Concurrency: 1}, calls)
		if err != nil {
			t.Fatal(err)
		}
		for _, broken := range []bool{true, false} {
			calls.broken = broken
			sent, err := porttest.Store(s, porttest.NewMessage([]byte("text")))
			if err != nil || (sent.Err != nil) != broken {
				t.Errorf("%s: %v %v", at, err, sent.Err)
			}
			if broken && !strings.Contains(sent.Err.Error(), "panic") {
				t.Errorf("%s: %v", at, sent.Err)
			}
		}
		if left, err := os.ReadDir(s.tmp); err != nil || at == "write" && len(left) != 1 {
			t.Errorf("%s: %v and %d files besides the lock", at, err, len(left)-1)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

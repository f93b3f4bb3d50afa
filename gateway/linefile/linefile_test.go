package linefile

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/testkit"
)

var (
	errEmpty = errors.New("nothing in it")
	whole    = Format{MaxFile: 2 << 20, MaxLine: 20, Empty: errEmpty}
)

func nothing([]byte) error { return nil }

var (
	errBroken = errors.New("broken")
	errBad    = errors.New("is bad")
)

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestLines checks which lines count, and that an error says where it is.
func TestLines(t *testing.T) {
	const long = "a line of more bytes than may be in one"
	for _, test := range []struct {
		text  string
		most  int64
		lines string // joined by |
		err   string
	}{
		{"a\nb", 100, "a|b", ""},
		{"\ufeffa\r\n\r\n \t\n# c\n  # d\n b c \n", 100, "a|b c", ""},
		{"\ufeff# a\nb\n", 100, "b", ""},
		{"", 100, "", "nothing in it"},
		{"# a\n\n", 100, "", "nothing in it"},
		{"a\n#\nbad\nb", 100, "a|bad", "line 3: is bad"},
		{"a\n" + long, 100, "a", "line 2: longer than 20 bytes"},
		{"a\n# " + long, 100, "a", "line 2: longer than 20 bytes"},
		{"a\nbc\n", 5, "a|bc", ""},
		{"a\nbc\n", 4, "a|bc", "larger than 0KiB"},
		{"a\nbc\n", 3, "a|bc", "larger than 0KiB"}, // cut within a line
		{"bad\n", 3, "bad", "larger than 0KiB"},
	} {
		var lines []string
		f := Format{MaxFile: test.most, MaxLine: 20, Empty: errEmpty}
		sum, err := Text(strings.NewReader(test.text)).Read(f, func(line []byte) error {
			lines = append(lines, string(line))
			if string(line) == "bad" {
				return errBad
			}
			return nil
		})
		if got := strings.Join(lines, "|"); got != test.lines {
			t.Errorf("%q: lines %q", test.text, got)
		}
		if (err != nil || test.err != "") && (err == nil || err.Error() != test.err) {
			t.Errorf("%q: %v", test.text, err)
		}
		if err == nil && sum != sha256.Sum256([]byte(test.text)) {
			t.Errorf("%q: the digest is another", test.text)
		}
	}
	if _, err := Text(io.MultiReader(strings.NewReader("a\n"), broken{})).Read(whole, nothing); !errors.Is(err, errBroken) {
		t.Errorf("a file that breaks: %v", err)
	}
	if text := errTooLarge(3 << 30).Error(); text != "larger than 3GiB" {
		t.Errorf("%s", text)
	}
}

// TestFile checks that what is not a list of a bounded size in a regular file is refused
// at once, and that nothing else has to be there for that.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("list"), []byte("ann@example.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("large"), []byte("ann@example.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path("large"), whole.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"loop": "loop", "zero": "/dev/zero", "to list": "list", "to pipe": "pipe"} {
		if err := os.Symlink(to, path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"none": "no such file", "loop": "too many levels", "pipe": "not a regular file", "to pipe": "not a regular file", ".": "not a regular file",
		"zero": "not a regular file", "large": "larger than 2MiB", "list": "", "to list": "",
	} {
		switch _, err := File(path(name)).Read(whole, nothing); {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), ": "+want)):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrittenMeanwhile checks that a list is refused that changes while it is read.
func TestWrittenMeanwhile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list")
	lines := []byte(strings.Repeat("# filler\n", 1<<15) + "ann@example.net\n")
	if err := os.WriteFile(name, lines, 0o600); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = os.Truncate(name, int64(len(lines)-i%2)) // the last line end
			}
		}
	}()
	testkit.Eventually(t, "a changing list is refused", func() bool {
		_, err := File(name).Read(whole, nothing)
		return errors.Is(err, errChanged)
	})
	close(stop)
	<-stopped
	if _, err := File(name).Read(whole, nothing); err != nil {
		t.Errorf("then: %v", err)
	}
}

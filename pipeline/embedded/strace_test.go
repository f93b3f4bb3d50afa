package embedded_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSystemCalls looks at what the kernel was asked: the event's bytes are
// written and synced before the event is acknowledged.
func TestSystemCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(folder, "kafka")
	trace := filepath.Join(t.TempDir(), "trace")
	command := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "20", "-o", trace,
		"-e", "trace=fsync,write", os.Args[0])
	command.Env = append(os.Environ(), childFolder+"="+folder, childRound+"=strace", childEvents+"=1")
	if out, err := command.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "strace-0\n") {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	segment := regexp.QuoteMeta(folder) + `/partitions/mail\.received-\d/0\.dat>`
	steps := []*regexp.Regexp{
		regexp.MustCompile(` write\(\d+<` + segment),
		regexp.MustCompile(` fsync\(\d+<` + segment + `\)\s+= 0|<\.\.\. fsync resumed>\)\s+= 0`),
		regexp.MustCompile(` write\(1<.*"strace-0`),
	}
	for line := range strings.Lines(string(raw)) {
		if len(steps) > 0 && steps[0].MatchString(line) {
			steps = steps[1:]
		}
	}
	if len(steps) > 0 {
		t.Errorf("missing in this order: %s\n%s", steps[0], raw)
	}
}

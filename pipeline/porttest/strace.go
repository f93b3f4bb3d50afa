package porttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SystemCalls runs this test binary again under strace, with these additional environment
// variables. It returns the named system calls that the child made, in the order in which
// they ended. They are as strace prints them, with the paths of descriptors. printed is
// the output of the child. Without strace the test is skipped, or fails with
// TEST_TOOLS=required.
func SystemCalls(
	t *testing.T, names string, environment ...string,
) (calls []string, printed string) {
	t.Helper()
	return runStrace(t, []string{"-e", "trace=" + names}, environment)
}

// FailSyncs is SystemCalls for fsync of one file, all of which fail with EIO.
func FailSyncs(t *testing.T, file string, environment ...string) (calls []string, printed string) {
	t.Helper()
	return runStrace(t, []string{"-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "-P", file}, environment)
}

func runStrace(t *testing.T, options, environment []string) (calls []string, printed string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("TEST_TOOLS") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	options = append([]string{"-f", "-y", "-s", "200", "-o", trace}, options...)
	command := exec.CommandContext(t.Context(), strace, append(options, os.Args[0])...)
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	return joinHalves(string(raw)), string(out)
}

// CheckOrder fails the test unless calls contains matches of all steps in this order.
func CheckOrder(t *testing.T, calls []string, steps ...string) {
	t.Helper()
	for _, call := range calls {
		if len(steps) > 0 && regexp.MustCompile(steps[0]).MatchString(call) {
			steps = steps[1:]
		}
	}
	if len(steps) > 0 {
		t.Errorf("missing in its place: %s\n%s", steps[0], strings.Join(calls, "\n"))
	}
}

var resumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)

// joinHalves joins the two lines of a system call that another thread interrupted, at the
// place where the call ended.
func joinHalves(trace string) []string {
	begun := map[string]string{}
	var calls []string
	for line := range strings.Lines(trace) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if half, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[thread] = half
			continue
		}
		if rest := resumed.ReplaceAllString(call, ""); rest != call {
			call = begun[thread] + rest
		}
		calls = append(calls, call)
	}
	return calls
}

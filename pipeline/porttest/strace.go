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

// Which fsyncs FailSyncs lets fail, in the words of strace.
const (
	EverySync = "1+"
	FirstSync = "1" // of each thread; the kernel would let the next one succeed as well
)

// FailSyncs is SystemCalls for fsync and fdatasync of one file. Those that which names fail
// with EIO.
func FailSyncs(
	t *testing.T, which, file string, environment ...string,
) (calls []string, printed string) {
	t.Helper()
	return runStrace(t, []string{
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=" + which, "-P", file,
	}, environment)
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
	options = append([]string{"-f", "-y", "-s", "200", "-qq", "-e", "signal=none", "-o", trace}, options...)
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

// Changes are the system calls that CheckDurable needs, for SystemCalls.
const Changes = "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,ftruncate,write,fsync"

var (
	creation = regexp.MustCompile(`^openat\(.*"([^"]+)", [A-Z_|]*O_CREAT.*\) += \d`)
	made     = regexp.MustCompile(`^mkdir(?:at)?\(.*"([^"]+)".* = 0`)
	moved    = regexp.MustCompile(`^rename(?:at2?)?\(.*"([^"]+)".*"([^"]+)".* = 0`)
	gone     = regexp.MustCompile(`^unlink(?:at)?\(.*"([^"]+)".* = 0`)
	written  = regexp.MustCompile(`^(?:write|ftruncate)\(\d+<([^>]+)>.* = \d`)
	synced   = regexp.MustCompile(`^fsync\(\d+<([^>]+)>\) += 0`)
)

// notKept are files that need not be durable.
var notKept = regexp.MustCompile(`\.tmp$|/lock$`)

// CheckDurable fails the test unless, whenever a call matches answer, all bytes below
// folder and all names there were synced. One request at a time must have been in flight.
// It returns the number of answers.
func CheckDurable(t *testing.T, calls []string, folder, answer string) (answers int) {
	t.Helper()
	said := regexp.MustCompile(answer)
	seen, names, bytes := map[string]bool{}, map[string]string{}, map[string]string{}
	note := func(in map[string]string, path, call string) {
		if strings.HasPrefix(path, folder+"/") && !notKept.MatchString(path) {
			in[path] = call
		}
	}
	match := func(of *regexp.Regexp, call string) (path string, ok bool) {
		if m := of.FindStringSubmatch(call); m != nil {
			return m[1], true
		}
		return "", false
	}
	for _, call := range calls {
		if said.MatchString(call) {
			answers++
			for _, left := range []map[string]string{names, bytes} {
				for path, by := range left {
					t.Errorf("%s is not durable at %s: %s", path, call, by)
					delete(left, path)
				}
			}
		}
		if path, ok := match(creation, call); ok && !seen[path] {
			seen[path] = true
			note(names, path, call)
		}
		if path, ok := match(made, call); ok {
			note(names, path, call)
		}
		if m := moved.FindStringSubmatch(call); m != nil {
			delete(names, m[1])
			delete(seen, m[1])
			note(names, m[2], call)
			if by, ok := bytes[m[1]]; ok {
				delete(bytes, m[1])
				bytes[m[2]] = by
			}
		}
		if path, ok := match(gone, call); ok {
			delete(names, path)
			delete(bytes, path)
			delete(seen, path)
		}
		if path, ok := match(written, call); ok {
			note(bytes, path, call)
		}
		if path, ok := match(synced, call); ok {
			delete(bytes, path)
			for name := range names {
				if filepath.Dir(name) == path {
					delete(names, name)
				}
			}
		}
	}
	return answers
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

package dir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/pipeline/porttest"
)

// childFolder makes this test binary store one message there and say so.
const childFolder = "SLUICE_TEST_DIR_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		if err := storeOne(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func storeOne(folder string) error {
	s, err := Open(Options{Path: folder})
	if err != nil {
		return err
	}
	sent, err := porttest.Store(s, porttest.NewMessage([]byte("body")))
	if err != nil {
		return err
	}
	if sent.Err != nil {
		return sent.Err
	}
	fmt.Println("acknowledged " + sent.Blob.Key)
	return s.Close()
}

// TestSystemCalls looks at what the kernel was asked, not at what we believe to
// have asked: the file's fsync, the rename, the folders' fsyncs, then the answer.
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
	folder = filepath.Join(folder, "mail")
	trace := filepath.Join(t.TempDir(), "trace")
	command := exec.CommandContext(t.Context(), strace, "-f", "-y", "-s", "200", "-o", trace,
		"-e", "trace=fsync,rename,renameat,renameat2,write,close", os.Args[0])
	command.Env = append(os.Environ(), childFolder+"="+folder)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	key, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "acknowledged ")
	if !ok {
		t.Fatalf("the child said %q", out)
	}
	raw, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	checkTrace(t, finished(string(raw)), folder, key)
}

// finished joins the two halves of system calls that another thread interrupted,
// at the place where they ended.
func finished(trace string) []string {
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

var resumed = regexp.MustCompile(`^<\.\.\. \w+ resumed>`)

// checkTrace finds these calls in this order, each with the result 0 where it
// has one.
func checkTrace(t *testing.T, calls []string, folder, key string) {
	t.Helper()
	quoted := regexp.QuoteMeta
	steps := []*regexp.Regexp{
		regexp.MustCompile(`^fsync\(\d+<` + quoted(folder) + `/tmp/0?\d+-1>\)\s+= 0$`),
		regexp.MustCompile(`^fsync\(\d+<` + quoted(filepath.Join(folder, filepath.Dir(filepath.Dir(key)))) + `>\)\s+= 0$`),
		regexp.MustCompile(`^rename.*"` + quoted(filepath.Join(folder, key)) + `".*\s= 0$`),
		regexp.MustCompile(`^fsync\(\d+<` + quoted(filepath.Join(folder, filepath.Dir(key))) + `>\)\s+= 0$`),
		regexp.MustCompile(`^write\(1<.*"acknowledged `),
	}
	next := 0
	for _, call := range calls {
		if next < len(steps) && steps[next].MatchString(call) {
			next++
		}
	}
	if next < len(steps) {
		t.Errorf("missing in this order: %s\n%s", steps[next], strings.Join(calls, "\n"))
	}
}

package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestReport reads events of packages that do not compile, panic, take too long and fail.
func TestReport(t *testing.T) {
	events, err := os.Open("testdata/events.json")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var out strings.Builder
	r := newReport(&out)
	if err := r.read(events); err != nil {
		t.Fatal(err)
	}
	r.end()
	full, summary, _ := strings.Cut(out.String(), "\nFailed:\n")
	const want = `# fx/b [fx/b.test]
b/b_test.go:1:26: undefined: testing
b/b_test.go:1:38: undefined: x
FAIL fx/b (0.00s)
    FAIL	fx/b [build failed]
FAIL fx/fx TestSub/one (0.00s)
    a_test.go:4: before
    a_test.go:4: bad x
FAIL fx/p TestP (0.00s)
    panic: assignment to entry in nil map [recovered, repanicked]
FAIL fx/fx TestSlow (2.02s)
    panic: test timed out after 2s
`
	if summary != want {
		t.Errorf("got\n%s\nwant\n%s", summary, want)
	}
	for _, has := range []string{"time=1 level=INFO\n", "        y\n", "goroutine 17 [running]:\n"} {
		if !strings.Contains(full, has) {
			t.Errorf("no %q in\n%s", has, full)
		}
	}
	if strings.Contains(full, "nothing") {
		t.Error("a test that passed is heard")
	}
}

// TestManyFailures checks that the summary stays short.
func TestManyFailures(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	for range 100 {
		r.add(&event{Action: "output", Package: "p", Test: "T", Output: "    a_test.go:1: " + strings.Repeat("x", 10000) + "\n"})
	}
	for range 100 {
		r.add(&event{Action: "fail", Package: "p", Test: "T"})
	}
	out.Reset()
	r.end()
	if n := strings.Count(out.String(), "\n"); n > mostLines+3 || out.Len() > (mostLines+3)*(mostOfALine+10) {
		t.Errorf("%d lines, %d bytes", n, out.Len())
	}
}

// TestExitCode checks that the code of go test is kept.
func TestExitCode(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go test")
	}
	if code, err := run([]string{"-run", "^$", "."}, io.Discard); code != 0 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
	if code, _ := run([]string{"./nowhere"}, io.Discard); code == 0 {
		t.Error("a package that is missing passed")
	}
}

package embedded_test

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/pipeline/porttest"
)

// childData returns a folder for a child's broker, without symbolic links, as strace
// prints it.
func childData(t *testing.T) string {
	t.Helper()
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "data", "kafka")
}

// TestSystemCalls checks the system calls that the kernel saw: the bytes of an event are
// written and synced before the event is acknowledged.
func TestSystemCalls(t *testing.T) {
	folder := childData(t)
	calls, printed := porttest.SystemCalls(t, "fsync,write", childFolder+"="+folder, childEvents+"=1")
	if strings.Contains(printed, "failed") {
		t.Fatalf("the child said %q", printed)
	}
	segment := `\(\d+<` + regexp.QuoteMeta(folder) + `/partitions/mail\.received-\d/0\.dat>`
	porttest.CheckOrder(t, calls,
		`^write`+segment,
		`^fsync`+segment+`\)\s+= 0`,
		`^write\(1<.*"[0-9a-f-]{36}\\n"`,
	)
}

// TestFirstStart checks that a new data folder, all that is in it, and each name are durable
// before the broker serves.
func TestFirstStart(t *testing.T) {
	folder := childData(t)
	data, partitions := filepath.Dir(folder), filepath.Join(folder, "partitions")
	calls, _ := porttest.SystemCalls(t, "mkdir,mkdirat,rename,renameat,renameat2,fsync,write",
		childFolder+"="+folder, childEvents+"=0")
	made := func(path string) string { return `^mkdir.*"` + regexp.QuoteMeta(path) + `", .*\s= 0` }
	synced := func(path string) string { return `^fsync\(\d+<` + regexp.QuoteMeta(path) + `>\)\s+= 0` }
	porttest.CheckOrder(t, calls,
		made(data), synced(filepath.Dir(data)),
		made(folder), synced(data),
		made(partitions), synced(folder),
		made(filepath.Join(partitions, "mail.received-0")), synced(partitions),
		`^rename.*"`+regexp.QuoteMeta(folder)+`/topics.json"`, synced(folder),
		`^write\(1<.*"ready`,
	)
}

// TestSegments checks that each event is durable when it is acknowledged: in the first
// start and after another, and when segments begin.
func TestSegments(t *testing.T) {
	folder := childData(t)
	for range 2 {
		calls, _ := porttest.SystemCalls(t, porttest.Changes, childFolder+"="+folder, childLarge+"=1", childEvents+"=12")
		answer := `^write\(1<.*"[0-9a-f-]{36}\\n"`
		if n := porttest.CheckDurable(t, calls, filepath.Join(folder, "partitions"), answer); n != 12 {
			t.Errorf("%d events were acknowledged", n)
		}
	}
	segments, err := filepath.Glob(filepath.Join(folder, "partitions", "*", "*.dat"))
	if err != nil || len(segments) < 4 {
		t.Errorf("%d segments: %v", len(segments), err)
	}
}

// TestFailedSync lets every fsync of the events fail, or the first one alone: then the next
// would succeed without the bytes of the first. No event may be acknowledged, and each must
// be told why.
func TestFailedSync(t *testing.T) {
	const events = 40
	for _, which := range []string{porttest.EverySync, porttest.FirstSync} {
		t.Run(which, func(t *testing.T) {
			folder := childData(t)
			segment := filepath.Join(folder, "partitions", "mail.received-0", "0.dat")
			calls, printed := porttest.FailSyncs(t, which, segment, childFolder+"="+folder, childEvents+"="+strconv.Itoa(events))
			if len(calls) != 1 || !strings.Contains(calls[0], "(INJECTED)") {
				t.Errorf("want one fsync, and that it failed:\n%s", strings.Join(calls, "\n"))
			}
			lines := strings.Split(strings.TrimSpace(printed), "\n")
			if len(lines) != 1+events {
				t.Errorf("the child said %d lines, want %d", len(lines), 1+events)
			}
			for _, line := range lines[1:] {
				if !strings.HasPrefix(line, "failed: ") || !strings.Contains(line, "input/output error") {
					t.Errorf("the child said %q", line)
				}
			}
		})
	}
}

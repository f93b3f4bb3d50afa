package embedded_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/pipeline/porttest"
)

// TestSystemCalls checks the system calls that the kernel saw: the bytes of an event are
// written and synced before the event is acknowledged.
func TestSystemCalls(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(folder, "kafka")
	calls, printed := porttest.SystemCalls(t, "fsync,write", childFolder+"="+folder, childRound+"=strace", childEvents+"=1")
	if !strings.HasSuffix(printed, "strace-0\n") {
		t.Fatalf("the child said %q", printed)
	}
	segment := `\(\d+<` + regexp.QuoteMeta(folder) + `/partitions/mail\.received-\d/0\.dat>`
	porttest.CheckOrder(t, calls,
		`^write`+segment,
		`^fsync`+segment+`\)\s+= 0`,
		`^write\(1<.*"strace-0`,
	)
}

package dir

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/pipeline/porttest"
)

// childFolder names the environment variable that makes this test binary store one
// message in a folder and print a line.
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

// TestSystemCalls checks the system calls that the kernel saw: the fsync of the file, the
// rename, the fsyncs of the folders, then the result.
func TestSystemCalls(t *testing.T) {
	folder, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(folder, "mail")
	calls, printed := porttest.SystemCalls(t, porttest.Changes, childFolder+"="+folder)
	key, ok := strings.CutPrefix(strings.TrimSpace(printed), "acknowledged ")
	if !ok {
		t.Fatalf("the child said %q", printed)
	}
	quoted := func(name string) string { return regexp.QuoteMeta(filepath.Join(folder, name)) }
	hour := filepath.Dir(key)
	porttest.CheckOrder(t, calls,
		`^fsync\(\d+<`+quoted("tmp")+`/\d+-1>\)\s+= 0$`,
		`^fsync\(\d+<`+quoted(filepath.Dir(hour))+`>\)\s+= 0$`,
		`^rename.*"`+quoted(key)+`".*\s= 0$`,
		`^fsync\(\d+<`+quoted(hour)+`>\)\s+= 0$`,
		`^write\(1<.*"acknowledged `,
	)
	porttest.CheckDurable(t, calls, filepath.Dir(folder), `^write\(1<.*"acknowledged `)
}

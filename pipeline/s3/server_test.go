package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/loadtest/process"
	"sluice/loadtest/stack"
	"sluice/pipeline/porttest"
)

const (
	testAccess = stack.MinIOAccessKey
	testSecret = stack.MinIOSecretKey
)

// server is an S3 server that all tests of the package share.
type server struct {
	name    string
	run     func(t testing.TB) (address string)
	once    sync.Once
	address string
	failure error
}

var (
	minioServer   = &server{name: "minio", run: func(t testing.TB) string { return stack.MinIO(t).Endpoint }}
	versityServer = &server{name: "versitygw", run: runVersity}
	servers       = []*server{minioServer, versityServer}
)

// start starts the server unless it is running.
func (s *server) start(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a real S3 server")
	}
	s.once.Do(func() {
		s.failure = shared.Share(func(t testing.TB) { s.address = s.run(t) })
	})
	if s.failure != nil {
		t.Fatalf("%s did not start: %v", s.name, s.failure)
	}
}

// runVersity starts the S3 gateway of Versity on a folder: an S3 server that is
// independent of MinIO.
func runVersity(t testing.TB) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(cache, "sluice", "bin", "versitygw"),
		"--access", testAccess, "--secret", testSecret, "--port", address, "--quiet", "--health", "/health", "posix", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test panics
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + address + "/health")
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return address
		}
	}
	t.Fatal("not ready in 30 s")
	return ""
}

// shared owns the servers. It ends with the tests of the package.
var shared stack.Package

func TestMain(m *testing.M) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy's
	os.Exit(shared.Run(m))
}

var buckets atomic.Int64

// options returns options for a new bucket on the server.
func (s *server) options(t testing.TB) Options {
	t.Helper()
	s.start(t)
	return Options{
		Endpoint:     s.address,
		Bucket:       fmt.Sprintf("mail-%d", buckets.Add(1)),
		Region:       "us-east-1",
		AccessKey:    testAccess,
		SecretKey:    testSecret,
		CreateBucket: true,
		Timeout:      30 * time.Second,
		failures:     3,
	}
}

// mustOpen opens a store and closes it at the end of the test.
func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if depth := s.Depth(); depth != 0 {
			t.Errorf("depth %d after Close", depth)
		}
	})
	if !o.CreateBucket {
		return s
	}
	// A server that has just started may be too busy to create the bucket at Open.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = s.Probe(t.Context()); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// mustStore stores a message and fails the test unless it is stored.
func mustStore(t testing.TB, s *Store, body string) *porttest.Sent {
	t.Helper()
	sent, err := porttest.Store(s, porttest.NewMessage([]byte(body)))
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	return sent
}

// objects returns the keys in the bucket.
func objects(t testing.TB, r *Reader) []string {
	t.Helper()
	var keys []string
	err := r.List(context.Background(), func(key string, _ int64) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func readAll(t testing.TB, r *Reader, key string) string {
	t.Helper()
	body, err := r.Open(context.Background(), key, 0, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (r *Reader) pending(ctx context.Context, key string) (n int, err error) {
	err = r.Uploads(ctx, key, func(string, string) error {
		n++
		return nil
	})
	return n, err
}

package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

	"sluice/pipeline/porttest"
)

const (
	testAccess = "sluice-test"
	testSecret = "sluice-test-secret"
)

// server is an S3 server of its own, one for all tests of the package.
type server struct {
	name    string
	args    func(address, folder string) []string
	env     []string
	ready   string // path that answers when it is
	once    sync.Once
	err     error
	address string
	process *os.Process
	folder  string
}

var (
	minioServer = &server{
		name: "minio",
		args: func(address, folder string) []string {
			return []string{"server", "--address", address, "--quiet", folder}
		},
		env:   []string{"MINIO_ROOT_USER=" + testAccess, "MINIO_ROOT_PASSWORD=" + testSecret, "MINIO_BROWSER=off"},
		ready: "/minio/health/ready",
	}
	versityServer = &server{
		name: "versitygw",
		args: func(address, folder string) []string {
			return []string{"--access", testAccess, "--secret", testSecret, "--port", address, "--quiet", "--health", "/health", "posix", folder}
		},
		ready: "/health",
	}
	servers = []*server{minioServer, versityServer}
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range servers {
		if s.process != nil {
			_ = s.process.Kill()
			_, _ = s.process.Wait()
		}
		_ = os.RemoveAll(s.folder)
	}
	os.Exit(code)
}

// start runs the server unless it runs already.
func (s *server) start(t testing.TB) {
	t.Helper()
	s.once.Do(func() { s.err = s.run() })
	if s.err != nil {
		t.Fatalf("%s: %v (make tools installs it)", s.name, s.err)
	}
}

func (s *server) run() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if s.folder, err = os.MkdirTemp("", "sluice-"+s.name); err != nil {
		return err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = free.Addr().String()
	_ = free.Close()
	cmd := exec.Command(filepath.Join(cache, "sluice", "bin", s.name), s.args(s.address, s.folder)...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test panics
	if err := cmd.Start(); err != nil {
		return err
	}
	s.process = cmd.Process
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + s.address + s.ready)
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("not ready in 30 s")
}

var buckets atomic.Int64

// options of a new bucket on the server.
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
	}
}

// mustOpen opens a store and closes it at the test's end.
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
	return s
}

// mustStore stores a message whose result must be good.
func mustStore(t testing.TB, s *Store, body string) *porttest.Sent {
	t.Helper()
	sent, err := porttest.Store(s, porttest.NewMessage([]byte(body)))
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	return sent
}

// objects gives the keys in the bucket.
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

// openWithoutLook opens a store on a server that knows only PUT.
func openWithoutLook(t testing.TB, o Options) *Store {
	t.Helper()
	mended := newValve()
	mend := mended.cut() // cannot be reached at the start, which is no error
	o.dial = mended.dial
	s := mustOpen(t, o)
	mend()
	return s
}

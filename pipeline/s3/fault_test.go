package s3

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// toxic starts a toxiproxy in front of the server.
func (s *server) toxic(t *testing.T) *toxiproxy.Proxy {
	t.Helper()
	s.start(t)
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(control, "store", "127.0.0.1:0", s.address)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

const faultTimeout = 2 * time.Second

// slack is how long after its deadline a result may come on a busy machine.
const slack = 5 * time.Second

// storeBoth stores a small message and a large one in parts and returns their results.
// Each has exactly one, in bounded time.
func storeBoth(t *testing.T, s *Store) (small, large error) {
	t.Helper()
	begun := time.Now()
	sent, err := porttest.Store(s, porttest.NewMessage(bytes.Repeat([]byte("small\r\n"), 30_000)))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > faultTimeout+slack {
		t.Errorf("a result after %s", took)
	}
	l := porttest.NewLarge(s, make([]byte, MinPartSize))
	l.PutPart([]byte("the last part"))
	failure, err := l.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if failure != nil {
		s.Abort(l.M.Parts.Upload)
		return sent.Err, failure
	}
	if err := l.Put(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*(faultTimeout+slack) {
		t.Errorf("all results after %s", took)
	}
	return sent.Err, l.Err
}

// waitCleaned waits until the cleaner has removed all but want objects and all pending
// uploads.
func waitCleaned(t *testing.T, s *Store, want int) {
	t.Helper()
	var left []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		left = objects(t, &s.Reader)
		pending, err := s.pending(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == want && pending == 0 {
			return
		}
	}
	t.Errorf("%d objects, want %d: %q", len(left), want, left)
}

// TestToxics checks faults of the network. Afterwards the store must work again.
func TestToxics(t *testing.T) {
	for _, test := range []struct {
		name, toxic string
		kind        pipeline.Kind
	}{
		{"latency", `{"type": "latency", "attributes": {"latency": 100, "jitter": 50}}`, pipeline.KindNone},
		{"bandwidth", `{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 10}}`, pipeline.KindTimeout},
		{"reset in a body", `{"type": "limit_data", "stream": "upstream", "attributes": {"bytes": 50000}}`, pipeline.KindTemporary},
		{"reset", `{"type": "reset_peer", "stream": "upstream", "attributes": {"timeout": 1}}`, pipeline.KindTemporary},
		{"black hole", `{"type": "timeout", "stream": "upstream", "attributes": {"timeout": 0}}`, pipeline.KindTimeout},
		{"no answer", `{"type": "timeout", "stream": "downstream", "attributes": {"timeout": 0}}`, pipeline.KindTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			network := minioServer.toxic(t)
			o := minioServer.options(t)
			o.Endpoint, o.Timeout, o.Concurrency = network.Listen, faultTimeout, 4
			s := mustOpen(t, o)
			s.client.transport.CloseIdleConnections()
			toxic, err := network.Toxics.AddToxicJson(strings.NewReader(test.toxic))
			if err != nil {
				t.Fatal(err)
			}
			small, large := storeBoth(t, s)
			want := 0
			if test.kind == pipeline.KindNone {
				want = 2
			}
			if a, b := pipeline.KindOf(small), pipeline.KindOf(large); a != test.kind || b != test.kind {
				t.Errorf("small %v, large %v, want kind %s", small, large, test.kind)
			}
			if err := network.Toxics.RemoveToxic(t.Context(), toxic.Name); err != nil {
				t.Fatal(err)
			}
			waitCleaned(t, s, want)
			if small, large := storeBoth(t, s); small != nil || large != nil {
				t.Errorf("afterwards: small %v, large %v", small, large)
			}
			waitCleaned(t, s, want+2)
		})
	}
}

// TestAnswers checks error responses of the store. Afterwards it must work again.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		kind   pipeline.Kind
		op     string
	}{
		{http.StatusServiceUnavailable, "SlowDown", pipeline.KindTemporary, "slow down"},
		{http.StatusInternalServerError, "InternalError", pipeline.KindTemporary, "InternalError"},
		{http.StatusInsufficientStorage, "XMinioStorageFull", pipeline.KindFull, "store full"},
		{http.StatusBadRequest, "ExpiredToken", pipeline.KindTemporary, "credentials expired"},
		{http.StatusForbidden, "InvalidAccessKeyId", pipeline.KindTemporary, "credentials refused"},
		{http.StatusForbidden, "AccessDenied", pipeline.KindTemporary, "access denied"},
		{http.StatusNotFound, "NoSuchBucket", pipeline.KindTemporary, "no such bucket"},
		{http.StatusBadRequest, "EntityTooLarge", pipeline.KindTemporary, "too large for the store"},
	} {
		t.Run(test.code, func(t *testing.T) {
			t.Parallel()
			f := minioServer.front(t)
			o := minioServer.options(t)
			o.Endpoint = f.address()
			s := mustOpen(t, o)
			f.set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				_, _ = io.Copy(io.Discard, r.Body)
				refuse(w, test.status, test.code)
			})
			small, large := storeBoth(t, s)
			for step, err := range map[string]error{"put": small, "begin": large} {
				prefix := "s3: " + step + ": " + test.op + ": "
				if pipeline.KindOf(err) != test.kind || !strings.HasPrefix(err.Error(), prefix) {
					t.Errorf("%s, kind %s, want %s of kind %s", err, pipeline.KindOf(err), prefix, test.kind)
				}
			}
			f.set(nil)
			waitCleaned(t, s, 0)
			if small, large := storeBoth(t, s); small != nil || large != nil {
				t.Errorf("afterwards: small %v, large %v", small, large)
			}
		})
	}
}

// TestWrongChecksum alters one byte on the way. Both servers must refuse it, and nothing
// may stay.
func TestWrongChecksum(t *testing.T) {
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			f := server.front(t)
			o := server.options(t)
			o.Endpoint = f.address()
			s := mustOpen(t, o)
			f.set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if kind := what(r); kind == "put" || kind == "part 1" {
					body, _ := io.ReadAll(r.Body)
					body[len(body)/2] ^= 1
					r.Body = io.NopCloser(bytes.NewReader(body))
				}
				next.ServeHTTP(w, r)
			})
			small, large := storeBoth(t, s)
			for _, err := range []error{small, large} {
				if err == nil || !strings.Contains(err.Error(), "checksum refused") || pipeline.KindOf(err) != pipeline.KindTemporary {
					t.Errorf("failure %v", err)
				}
			}
			f.set(nil)
			waitCleaned(t, s, 0)
		})
	}
}

// TestLostAnswers lets the store execute a request and loses the response. A message that
// failed may leave nothing; a retry may also find its work done.
func TestLostAnswers(t *testing.T) {
	for _, kind := range []string{"put", "begin", "part 2", "part 1", "complete"} {
		for _, lost := range []int64{1, 100} {
			t.Run(fmt.Sprint(kind, " ", lost), func(t *testing.T) {
				t.Parallel()
				f := minioServer.front(t)
				o := minioServer.options(t)
				o.Endpoint = f.address()
				s := mustOpen(t, o)
				var n atomic.Int64
				f.set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if what(r) != kind || n.Add(1) > lost {
						next.ServeHTTP(w, r)
						return
					}
					next.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler) // closes the connection
				})
				small, large := storeBoth(t, s)
				want, hit, other := 2, large, small
				if kind == "put" {
					hit, other = small, large
				}
				if lost > 1 {
					want = 1
				}
				if (hit != nil) != (lost > 1) || other != nil {
					t.Errorf("small %v, large %v", small, large)
				}
				waitCleaned(t, s, want)
				if n := s.LeftBehind(); n != 0 {
					t.Errorf("%d left behind", n)
				}
			})
		}
	}
}

// TestLeftBehind checks that what cannot be removed is reported once, at Close at the
// latest.
func TestLeftBehind(t *testing.T) {
	f := newFake(t)
	f.answer = func(w http.ResponseWriter, r request) bool {
		if r.what == "put" || r.what == "delete" {
			refuse(w, http.StatusInternalServerError, "InternalError")
			return true
		}
		return false
	}
	o := f.options()
	told := make(chan string, 10)
	o.LeftBehind = func(key string, err error) { told <- key + " " + err.Error() }
	s := mustOpen(t, o)
	m := porttest.NewMessage([]byte("x"))
	key := m.Key()
	if sent, err := porttest.Store(s, m); err != nil || sent.Err == nil {
		t.Fatalf("%v, no failure", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := s.LeftBehind(); n != 1 || len(told) != 1 || !strings.HasPrefix(<-told, key+" ") {
		t.Errorf("%d left behind", n)
	}
	if len(f.requests("delete")) == 0 {
		t.Error("nothing was tried")
	}
}

// TestExpiredEnvironment checks that credentials from the environment are read again
// after they expired.
func TestExpiredEnvironment(t *testing.T) {
	f := newFake(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "old")
	t.Setenv("AWS_SECRET_ACCESS_KEY", testSecret)
	f.answer = func(w http.ResponseWriter, r request) bool {
		old := strings.Contains(r.header.Get("Authorization"), "Credential=old/")
		if old && r.what == "put" {
			refuse(w, http.StatusBadRequest, "ExpiredToken")
			return true
		}
		return false
	}
	o := f.options()
	o.Credentials, o.AccessKey, o.SecretKey = CredentialsEnv, "", ""
	s := mustOpen(t, o)
	if err := os.Setenv("AWS_ACCESS_KEY_ID", "new"); err != nil {
		t.Fatal(err)
	}
	sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
	if err != nil || sent.Err == nil {
		t.Errorf("%v, no failure with the old credentials", err)
	}
	mustStore(t, s, "y")
}

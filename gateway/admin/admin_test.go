package admin

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/metrics"
)

func startAdmin(t *testing.T, ready func() (bool, string)) *Server {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := New(l, Pages{Metrics: metrics.New(metrics.Labels{}).Handler(), Ready: ready})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestAdminPages(t *testing.T) {
	var serving atomic.Bool
	a := startAdmin(t, func() (bool, string) {
		if serving.Load() {
			return true, "serving"
		}
		return false, "draining"
	})
	for _, c := range []struct {
		method, path string
		serving      bool
		status       int
		body         string
	}{
		{"GET", "/readyz", false, 503, "draining\n"},
		{"GET", "/readyz", true, 200, "serving\n"},
		{"GET", "/livez", false, 200, "alive\n"}, // a draining process must not be killed
		{"GET", "/metrics", true, 200, "sluice_sessions_total 0"},
		{"GET", "/", true, 200, "/metrics"},
		{"GET", "/debug/pprof/", true, 404, ""},
		{"GET", "/elsewhere", true, 404, ""},
		{"HEAD", "/readyz", true, 200, ""},
		{"POST", "/readyz", true, 405, ""},
		{"POST", "/metrics", true, 405, ""},
	} {
		serving.Store(c.serving)
		request, err := http.NewRequest(c.method, "http://"+a.Addr()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s %s: %d %q %v", c.method, c.path, response.StatusCode, body, err)
		}
	}
}

// TestAdminPanics checks that a panic in a page is answered, and that the server goes on.
func TestAdminPanics(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	a := startAdmin(t, func() (bool, string) {
		if broken.Load() {
			panic("broken")
		}
		return true, "serving"
	})
	for _, status := range []int{500, 200} {
		response, err := http.Get("http://" + a.Addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("status %d, want %d", response.StatusCode, status)
		}
		broken.Store(false)
	}
}

// TestAdminFails checks that Close is not reported as a failure, but a broken listener
// is.
func TestAdminFails(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := New(l, Pages{Metrics: http.NotFoundHandler()})
	broken := startAdmin(t, nil)
	if err := errors.Join(closed.Close(), broken.listener.Close()); err != nil {
		t.Fatal(err)
	}
	if err := <-broken.Failed(); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "admin server") {
		t.Errorf("broken: %v", err)
	}
	if len(closed.Failed()) != 0 {
		t.Errorf("closed: %v", <-closed.Failed())
	}
}

func TestAdminAddressInUse(t *testing.T) {
	a := startAdmin(t, func() (bool, string) { return true, "" })
	_, err := Listen(a.Addr())
	if err == nil || !strings.Contains(err.Error(), "admin.address") || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/gateway/admin"
	"sluice/gateway/reactor"
)

// TestBoundedIdleConnections checks that any number of idle connections neither keeps a
// scrape out nor holds descriptors.
func TestBoundedIdleConnections(t *testing.T) {
	const most = 16
	var displaced atomic.Int64
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "sluice_up 1") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := admin.New(newBounded(l, most, func() { displaced.Add(1) }, func(error) {}), admin.Pages{Metrics: page, Ready: func() (bool, string) { return true, "serving" }})
	defer a.Close()
	before := openDescriptors(t)
	for _, request := range []string{"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", "GET /livez HT", ""} {
		for range 10 * most {
			c, err := net.Dial("tcp", a.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			if len(request) > 20 { // a reply: the connection is idle from here on
				_ = c.SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
		}
		response, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{}}).Get("http://" + a.Addr() + "/metrics")
		if err != nil {
			t.Fatalf("behind %q: %v", request, err)
		}
		got, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(got) != "sluice_up 1" {
			t.Errorf("behind %q: %q, %v", request, got, err)
		}
	}
	if n := displaced.Load(); n < 29*most {
		t.Errorf("only %d were displaced", n)
	}
	// The clients' own ends, and at most as many of the server's.
	if now := openDescriptors(t); now > before+30*most+most+4 {
		t.Errorf("%d descriptors more are open", now-before)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestWhoIsDisplaced checks that the address with the most connections loses the one that
// was idle for longest.
func TestWhoIsDisplaced(t *testing.T) {
	c := newBounded(nil, 4, func() {}, func(error) {})
	join := func(from string, last int64) (*boundedConn, *boundedConn) {
		m := &boundedConn{Conn: shut{}, listener: c, from: netip.MustParseAddr(from)}
		m.last.Store(last)
		return m, c.add(m)
	}
	scraper, _ := join("192.0.2.1", 1) // idle for longest of all
	greedy, _ := join("192.0.2.2", 3)
	_, _ = join("192.0.2.2", 4)
	if _, victim := join("192.0.2.2", 5); victim != nil {
		t.Fatal("there was room")
	}
	_, victim := join("192.0.2.3", 6)
	if victim != greedy || victim == scraper {
		t.Errorf("from %s", victim.from)
	}
	_ = victim.Close()
	if err := victim.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if len(c.open) != 4 {
		t.Errorf("%d are open", len(c.open))
	}
}

type shut struct{ net.Conn }

func (shut) Close() error { return net.ErrClosed }

// refusingListener fails to accept with its errors, one after the other.
type refusingListener struct {
	net.Listener
	errs []error
}

func (l *refusingListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

// TestFailedAcceptsAreCounted checks that a connection that cannot be accepted is counted,
// and that the end of the listener is not.
func TestFailedAcceptsAreCounted(t *testing.T) {
	var counted []string
	l := &refusingListener{errs: []error{syscall.EMFILE, syscall.ENFILE, net.ErrClosed}}
	c := newBounded(l, 4, func() {}, func(err error) { counted = append(counted, reactor.AcceptCause(err)) })
	for len(l.errs) > 0 {
		if _, err := c.Accept(); err == nil {
			t.Error("accepted")
		}
	}
	if want := []string{"process_descriptors", "system_descriptors"}; !slices.Equal(counted, want) {
		t.Errorf("counted %v, want %v", counted, want)
	}
}

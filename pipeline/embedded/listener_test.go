package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// failingListener fails to accept connections until a time.
type failingListener struct {
	net.Listener
	until time.Time
	conn  net.Conn
}

func (l *failingListener) Accept() (net.Conn, error) {
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.conn, nil
}

func (*failingListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9094} }

// TestPatientListener checks that failures to accept have a line when they begin, one in
// ten seconds while they last or come back, and one when they are over.
func TestPatientListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		conn, other := net.Pipe()
		defer conn.Close()
		defer other.Close()
		failing := &failingListener{conn: conn}
		l := &patientListener{Listener: failing, logger: slog.New(slog.NewTextHandler(&lines, nil))}
		accept := func(failingFor time.Duration, errors, infos int) {
			t.Helper()
			lines.Reset()
			failing.until = time.Now().Add(failingFor)
			if got, err := l.Accept(); got != conn || err != nil {
				t.Fatal(got, err)
			}
			for want, n := range map[string]int{
				`level=ERROR msg="embedded kafka: connections cannot be accepted`:                         errors,
				`level=INFO msg="embedded kafka: connections are accepted again" listener=127.0.0.1:9094`: infos,
			} {
				if got := strings.Count(lines.String(), want); got != n {
					t.Errorf("failing for %v: %d times %s, want %d:\n%s", failingFor, got, want, n, lines.String())
				}
			}
		}
		accept(0, 0, 0)
		accept(25*time.Second, 3, 1)
		accept(time.Second, 0, 0) // soon after the last line
		time.Sleep(acceptReportEvery)
		accept(time.Second, 1, 1)
	})
}

// TestPatientListenerIsClosed checks that Accept ends with its listener.
func TestPatientListenerIsClosed(t *testing.T) {
	listener, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	l := &patientListener{Listener: listener, logger: slog.New(slog.DiscardHandler)}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(fmt.Sprint("accepted from a closed listener: ", err))
	}
}

package server

import (
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/gateway/config"
	"sluice/internal/testkit"
)

// bucket is an object store on a port that is reserved from the start. It refuses
// connections until it opens.
type bucket struct {
	t       *testing.T
	socket  *os.File // until it opens
	address string
	stored  atomic.Int64
	server  *http.Server
	away    atomic.Bool                   // breaks connections
	silence atomic.Pointer[chan struct{}] // closed to resume replies
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	// A socket that is bound and does not listen keeps the port reserved.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &bucket{t: t, socket: os.NewFile(uintptr(fd), "bucket")}
	t.Cleanup(func() { _ = b.socket.Close() })
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := bound.(*unix.SockaddrInet4).Port
	b.address = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
	return b
}

// open begins to serve, once.
func (b *bucket) open() {
	b.t.Helper()
	if err := unix.Listen(int(b.socket.Fd()), 128); err != nil {
		b.t.Fatal(err)
	}
	listener, err := net.FileListener(b.socket) // has a descriptor of its own
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.socket.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.server = &http.Server{Handler: b}
	go func() { _ = b.server.Serve(listener) }()
	b.t.Cleanup(func() { _ = b.server.Close() })
}

// ServeHTTP replies as a store that has every object.
func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if b.away.Load() {
		panic(http.ErrAbortHandler) // closes the connection
	}
	if silence := b.silence.Load(); silence != nil {
		<-*silence
	}
	if r.Method == http.MethodPut {
		b.stored.Add(1)
		w.Header().Set("ETag", `"etag"`)
	}
}

// hush makes the bucket withhold its replies until speak is called.
func (b *bucket) hush() (speak func()) {
	silence := make(chan struct{})
	b.silence.Store(&silence)
	return func() {
		b.silence.Store(nil)
		close(silence)
	}
}

const awayTick = time.Second

// shed reports whether the gate sheds all mail.
func (r *running) shed() bool {
	_, shed := r.monitor.Gate().Shed(0, 65535)
	return shed
}

func (b *bucket) launch() *running {
	b.t.Helper()
	return launch(b.t, func(c *config.Config) {
		c.Store.Kind = config.KindS3
		c.Store.S3.Endpoint, c.Store.S3.Region = b.address, "us-east-1"
		c.Store.S3.AccessKey, c.Store.S3.SecretKey = "sluice", config.NewSecret("sluice-secret")
		c.Pressure.Lag.Interval = awayTick
	})
}

// send sends a message and returns the reply to its final dot, or the first unexpected
// reply before it.
func (r *running) send(t *testing.T) string {
	t.Helper()
	c := r.dial(t)
	defer c.Conn.Close()
	for _, step := range []struct{ say, want string }{
		{"", "220"}, {"HELO x\r\n", "250"}, {"MAIL FROM:<a@example.com>\r\n", "250"},
		{"RCPT TO:<b@example.net>\r\n", "250"}, {"DATA\r\n", "354"}, {"Subject: x\r\n\r\nx\r\n.\r\n", ""},
	} {
		_, _ = io.WriteString(c.Conn, step.say)
		line, err := c.In.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if step.want == "" || !strings.HasPrefix(line, step.want) {
			return line
		}
	}
	return ""
}

// TestStoreComesLater checks that a gateway that starts before its store sheds mail from
// the beginning, is ready all the time, and accepts mail once the store is available.
func TestStoreComesLater(t *testing.T) {
	b := newBucket(t)
	log := captureLog(t)
	r := b.launch()
	testkit.Eventually(t, "mail is turned away", r.shed)
	if got := r.send(t); !strings.HasPrefix(got, "421 ") {
		t.Errorf("without a store: %q", got)
	}
	testkit.Eventually(t, "the log says why", func() bool {
		return strings.Contains(log(), "pressure=store_errors") && strings.Contains(log(), "the object store cannot be used") &&
			strings.Contains(log(), "connection refused")
	})
	r.expectSample(t, `sluice_pressure_cause{cause="store_errors",class="default"} 1`)
	r.expectSample(t, `sluice_store_left_behind_total 0`)
	if got := r.status(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz without a store: %d", got)
	}
	b.open()
	testkit.Eventually(t, "mail is taken", func() bool { return strings.HasPrefix(r.send(t), "250 2.0.0 Ok ") })
	if n := b.stored.Load(); n != 1 {
		t.Errorf("%d messages stored", n)
	}
	if got := r.status(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz with a store: %d", got)
	}
	testkit.Eventually(t, "the log says that it is back", func() bool { return strings.Contains(log(), "the object store can be used again") })
	r.end(t)
}

// TestStoreGoesAway checks that an unavailable store shuts the gate while its first
// message waits. That message is answered 250 once the store is back.
func TestStoreGoesAway(t *testing.T) {
	b := newBucket(t)
	b.open()
	r := b.launch()
	if got := r.send(t); !strings.HasPrefix(got, "250 2.0.0 Ok ") {
		t.Fatalf("with a store: %q", got)
	}
	b.away.Store(true)
	waiting := r.dial(t)
	waiting.Begin()
	_, _ = io.WriteString(waiting.Conn, "text\r\n.\r\n")
	testkit.Eventually(t, "the gate is shut", r.shed)
	r.dial(t).Expect("421 ")
	if got := r.status(t, "/readyz"); got != http.StatusOK {
		t.Errorf("/readyz without a store: %d", got)
	}
	b.away.Store(false)
	waiting.Expect("250 2.0.0 Ok ")
	r.end(t)
}

// TestStoreFallsSilent checks that a store that accepts connections but does not reply
// shuts the gate while its first message still waits. That message is answered 250 once
// the store replies again.
func TestStoreFallsSilent(t *testing.T) {
	b := newBucket(t)
	b.open()
	r := b.launch()
	if got := r.send(t); !strings.HasPrefix(got, "250 2.0.0 Ok ") {
		t.Fatalf("with a store: %q", got)
	}
	speak := b.hush()
	waiting := r.dial(t)
	waiting.Begin()
	_, _ = io.WriteString(waiting.Conn, "text\r\n.\r\n")
	testkit.Eventually(t, "the gate is shut", r.shed)
	if cause, _ := r.monitor.Gate().Shed(0, 65535); cause != "store_errors" {
		t.Errorf("by %q", cause)
	}
	speak()
	waiting.Expect("250 2.0.0 Ok ")
	testkit.Eventually(t, "mail is taken", func() bool { return strings.HasPrefix(r.send(t), "250 2.0.0 Ok ") })
	r.end(t)
}

package s3

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnacknowledgedTimeout reads the bound for bytes that are not acknowledged from a
// connection of the transport.
func TestUnacknowledgedTimeout(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	transport, err := newTransport(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := transport.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var failure error
	err = raw.Control(func(fd uintptr) {
		got, failure = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	})
	if err != nil || failure != nil {
		t.Fatal(err, failure)
	}
	if want := 10_000; got != want { // docs/storage.md says so
		t.Errorf("TCP_USER_TIMEOUT is %d ms, want %d", got, want)
	}
}

package reactor

import (
	"net"
	"sync/atomic"
	"testing"

	"sluice/internal/panics"
	"sluice/internal/testkit"
)

// TestAcceptorPanics checks that a panic on an accepting goroutine costs one connection:
// the next ones are accepted.
func TestAcceptorPanics(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var enrolled atomic.Int32
	a := &acceptor{
		listener: &listener{Listener: l},
		options:  &Options{AcceptFailed: func(string) {}, AcceptTrouble: func(Trouble) {}},
		enroll: func(conn net.Conn, _ *listener) error {
			if enrolled.Add(1) == 1 {
				panic("broken")
			}
			return conn.Close()
		},
		stop: make(chan struct{}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		panics.Keep(panics.Accept, a.run)
	}()
	for range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	testkit.Eventually(t, "connections after the panic", func() bool { return enrolled.Load() == 3 })
	_ = l.Close()
	<-ended
}

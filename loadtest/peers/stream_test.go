package peers

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
)

func TestStreamIsWholeForEverybodyAndStops(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	content := strings.Repeat("0123456789\r\n", 10_000)
	ended := make(chan error, 1)
	go func() { ended <- ServeStream(ctx, listener, content) }()
	for range 3 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		conn.Close()
		if err != nil || string(got) != content {
			t.Fatalf("%d of %d octets, or others: %v", len(got), len(content), err)
		}
	}
	silent, err := net.Dial("tcp", listener.Addr().String()) // it reads nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

package s3

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
)

// writesConn counts the writes of one connection.
type writesConn struct {
	net.Conn
	n *atomic.Int64
}

func (c writesConn) Write(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(b)
}

// TestSmallMessageIsOneWrite checks that a small message, HTTP header included, is one
// write on the wire, and that a larger one is not copied for it.
func TestSmallMessageIsOneWrite(t *testing.T) {
	f := newFake(t)
	var writes atomic.Int64
	o := f.options()
	o.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		return writesConn{c, &writes}, err
	}
	s := mustOpen(t, o)
	for _, test := range []struct {
		size int
		one  bool
	}{{1, true}, {10 << 10, true}, {maxCoalesced - 1<<10, true}, {maxCoalesced + 1, false}} {
		before := writes.Load()
		body := string(bytes.Repeat([]byte("x"), test.size))
		sent := mustStore(t, s, body)
		if n := writes.Load() - before; (n == 1) != test.one {
			t.Errorf("%d bytes: %d writes", test.size, n)
		}
		puts := f.requests("put")
		checkPlain(t, puts[len(puts)-1], string(sent.Header)+body)
	}
}

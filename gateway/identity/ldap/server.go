package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// dialTimeout bounds how long it takes to reach a server, with TLS and the service's bind,
// within the time of the attempt.
const dialTimeout = 5 * time.Second

// shunTime is how long a server that failed is tried last.
const shunTime = 30 * time.Second

// server is one server of the directory.
type server struct {
	address  string // host:port
	implicit bool   // TLS from the first byte on
	startTLS bool
	tls      *tls.Config
	failed   atomic.Int64 // when it failed last, in seconds of Unix
}

// fail notes that the server has failed.
func (s *server) fail() { s.failed.Store(time.Now().Unix()) }

// shunned reports whether the server has failed a short time ago.
func (s *server) shunned() bool { return time.Since(time.Unix(s.failed.Load(), 0)) < shunTime }

// dial connects to the first server that can be reached, and makes the connection ready.
// Those that failed a short time ago are tried last.
func (b *Backend) dial(ctx context.Context, ready func(context.Context, *conn) error) (*conn, error) {
	var order, later []*server
	for _, s := range b.servers {
		if s.shunned() {
			later = append(later, s)
		} else {
			order = append(order, s)
		}
	}
	var errs []error
	for _, s := range append(order, later...) {
		c, err := s.open(ctx, ready)
		if err == nil {
			return c, nil
		}
		s.fail()
		errs = append(errs, fmt.Errorf("%s: %w", s.address, err))
		if ctx.Err() != nil || isRefusedBind(err) {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// isRefusedBind reports whether a server does not take the service's password. The next one
// would not either, and count one more failure.
func isRefusedBind(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.retryAfter > 0
}

// open connects to a server and makes the connection ready.
func (s *server) open(ctx context.Context, ready func(context.Context, *conn) error) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	if ready == nil {
		return c, nil
	}
	if err := ready(ctx, c); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// dial connects to a server.
func (s *server) dial(ctx context.Context) (*conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	c := &conn{server: s, raw: raw, net: raw}
	if err := c.secure(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

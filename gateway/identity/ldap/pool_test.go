package ldap

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestIdleConnections ages connections that are kept: they are closed, and not used again.
func TestIdleConnections(t *testing.T) {
	opened := 0
	p := &pool{open: func(context.Context) (*conn, error) {
		opened++
		near, far := net.Pipe()
		t.Cleanup(func() { far.Close() })
		return &conn{server: &server{}, raw: near, net: near}, nil
	}}
	var used []*conn
	nested := func(*conn) error { return nil }
	for range maxKept + 3 { // at the same time: each within the one before
		inner := nested
		nested = func(c *conn) error { used = append(used, c); return p.use(t.Context(), inner) }
	}
	if err := p.use(t.Context(), nested); err != nil {
		t.Fatal(err)
	}
	if opened != maxKept+4 || len(p.kept) != maxKept {
		t.Errorf("%d opened, %d kept", opened, len(p.kept))
	}
	const old = 3
	for _, c := range p.kept[:old] {
		c.last = time.Now().Add(-maxIdle - time.Second)
	}
	if err := p.use(t.Context(), func(*conn) error { return nil }); err != nil || len(p.kept) != maxKept-old {
		t.Errorf("%d kept, %v", len(p.kept), err)
	}
	for _, c := range p.kept {
		c.last = time.Now().Add(-maxIdle - time.Second)
	}
	before := opened
	if err := p.use(t.Context(), func(*conn) error { return nil }); err != nil || opened != before+1 || len(p.kept) != 1 {
		t.Errorf("%d opened, %d kept, %v", opened-before, len(p.kept), err)
	}
	p.close()
	for i, c := range used {
		if err := c.raw.SetDeadline(time.Now()); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("connection %d is open", i)
		}
	}
	if err := p.use(t.Context(), func(*conn) error { return nil }); err != nil || len(p.kept) != 0 {
		t.Errorf("%d kept after the end, %v", len(p.kept), err)
	}
}

// deadlines is a connection that notes its deadlines.
type deadlines struct {
	net.Conn
	set chan time.Time
}

func (d deadlines) SetDeadline(t time.Time) error {
	d.set <- t
	return nil
}

// TestBound looks at the deadlines of a request: stepTimeout, that of its context if it is
// nearer, and the end of its context.
func TestBound(t *testing.T) {
	set := make(chan time.Time, 1)
	c := &conn{raw: deadlines{set: set}}
	release := c.bound(t.Context())
	if d := time.Until(<-set); d <= 0 || d > stepTimeout {
		t.Errorf("a deadline in %v", d)
	}
	if !release() {
		t.Error("the context has ended")
	}
	near := time.Now().Add(stepTimeout / 2)
	ctx, cancel := context.WithDeadline(t.Context(), near)
	release = c.bound(ctx)
	if d := <-set; !d.Equal(near) {
		t.Errorf("a deadline in %v", time.Until(d))
	}
	cancel()
	if d := <-set; d.After(time.Now()) {
		t.Errorf("a deadline in %v", time.Until(d))
	}
	if release() {
		t.Error("the context has not ended")
	}
}

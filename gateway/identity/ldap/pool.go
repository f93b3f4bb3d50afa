package ldap

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Limits of the connections that are kept for the next attempt. Load balancers and
// firewalls forget idle ones after minutes, without telling.
const (
	maxKept = 16 // of each kind
	maxIdle = 30 * time.Second
)

// pool keeps connections of one kind. At any time there are as many in use as attempts are
// being judged.
type pool struct {
	open func(ctx context.Context) (*conn, error)

	mu     sync.Mutex
	kept   []*conn // the one used last is at the end
	closed bool
}

// use calls f with a connection, a kept one first. If a kept one turns out to be broken,
// f is called once more with a new one: the server may have been restarted since.
func (p *pool) use(ctx context.Context, f func(*conn) error) error {
	if c := p.get(); c != nil {
		err := f(c)
		if err == nil {
			p.put(c)
			return nil
		}
		c.close()
		p.clear() // the others are as old as this one
		if ctx.Err() != nil || isTimeout(err) {
			c.server.fail()
			return err
		}
	}
	c, err := p.open(ctx)
	if err != nil {
		return err
	}
	if err := f(c); err != nil {
		c.close()
		c.server.fail()
		return err
	}
	p.put(c)
	return nil
}

// get takes the connection that was used last, nil if there is none that is young enough.
func (p *pool) get() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	n := len(p.kept)
	if n == 0 {
		return nil
	}
	c := p.kept[n-1]
	p.kept = p.kept[:n-1]
	return c
}

// put keeps a connection for the next one, or closes it if there are enough.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expire()
	c.last = time.Now()
	if p.closed || len(p.kept) >= maxKept {
		c.close()
		return
	}
	p.kept = append(p.kept, c)
}

// expire closes the connections that nobody has used for long. They are at the beginning.
func (p *pool) expire() {
	for len(p.kept) > 0 && time.Since(p.kept[0].last) > maxIdle {
		p.kept[0].close()
		p.kept = slices.Delete(p.kept, 0, 1)
	}
}

// clear closes the connections that are kept.
func (p *pool) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeKept()
}

func (p *pool) closeKept() {
	for _, c := range p.kept {
		c.close()
	}
	p.kept = nil
}

// close takes leave of the servers. Connections in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	kept := p.kept
	p.kept, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range kept {
		c.leave()
	}
}

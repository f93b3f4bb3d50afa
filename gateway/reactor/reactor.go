// Package reactor runs driver loops on gnet. It is the only package that knows
// gnet, and the place where gnet's hazards are met; ARCHITECTURE.md lists them.
package reactor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"sluice/gateway/driver"
)

// Options say how to listen.
type Options struct {
	Addresses     []string // host:port
	Loops         int
	SendBuffer    int // SO_SNDBUF of each connection in octets
	ReceiveBuffer int // SO_RCVBUF
	// NewRandom makes the random source of a loop.
	NewRandom func() driver.Random
}

// readSize is how much is read from a connection at a time: what a session that is
// paused may have to carry.
const readSize = 32 << 10

// tickEvery is how often loops turn their timer wheels.
const tickEvery = 100 * time.Millisecond

// Reactor is a gnet engine with the driver's loops on it.
type Reactor struct {
	gnet.BuiltinEventEngine
	shared  *driver.Shared
	options Options
	engine  gnet.Engine
	bound   []string
	booted  chan struct{}
	asked   atomic.Bool // Stop was called
	loops   []atomic.Pointer[loop]
}

// loop ties a driver loop to the gnet loop that runs it.
type loop struct {
	reactor *Reactor
	gnet    gnet.EventLoop
	driver  *driver.Loop
	wake    gnet.Runnable

	enrolments []enrolment
}

// Wake implements driver.Waker. After Stop gnet would write the wake-up into a
// descriptor that it has closed.
func (l *loop) Wake() {
	if !l.reactor.asked.Load() {
		_ = l.gnet.Execute(context.Background(), l.wake)
	}
}

// New makes a reactor.
func New(shared *driver.Shared, o Options) *Reactor {
	return &Reactor{
		shared: shared, options: o,
		booted: make(chan struct{}),
		loops:  make([]atomic.Pointer[loop], o.Loops),
	}
}

// ErrEngineEnded says that gnet ended without having been told to: its accept
// failed for good. gnet itself reports no error then.
var ErrEngineEnded = errors.New("the event loops ended by themselves: accepting connections failed for good")

// Run listens and serves until Stop. It returns nil after Stop only.
func (r *Reactor) Run() error {
	bound, err := probe(r.options.Addresses)
	if err != nil {
		return err
	}
	r.bound = bound
	addresses := make([]string, len(bound))
	for i, a := range bound {
		addresses[i] = "tcp://" + a
	}
	err = gnet.Rotate(r, addresses,
		gnet.WithNumEventLoop(r.options.Loops),
		gnet.WithReusePort(true), // an accept queue for each loop
		gnet.WithReuseAddr(true),
		gnet.WithTicker(true),
		gnet.WithReadBufferCap(readSize),
		gnet.WithSocketSendBuffer(r.options.SendBuffer),
		gnet.WithSocketRecvBuffer(r.options.ReceiveBuffer),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogger(silent{}),
		gnet.WithLogLevel(logging.FatalLevel),
	)
	if err == nil && !r.asked.Load() {
		return ErrEngineEnded
	}
	return err
}

// Booted is closed when the listeners accept.
func (r *Reactor) Booted() <-chan struct{} { return r.booted }

// Addresses gives the addresses that it listens on, once Booted is closed.
func (r *Reactor) Addresses() []string { return r.bound }

// Stop ends Run. Sessions must have been drained: what is left is cut.
func (r *Reactor) Stop(ctx context.Context) error {
	select {
	case <-r.booted:
	default:
		return nil
	}
	r.asked.Store(true)
	return r.engine.Stop(ctx)
}

// OnBoot implements gnet.EventHandler.
func (r *Reactor) OnBoot(e gnet.Engine) gnet.Action {
	r.engine = e
	close(r.booted)
	return gnet.None
}

// OnOpen implements gnet.EventHandler.
func (r *Reactor) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	if s, ok := c.Context().(*socket); ok { // it was paused
		if s.fd < 0 { // and has ended meanwhile
			c.SetContext(nil)
			return nil, gnet.Close
		}
		s.back(c)
		return nil, s.turn(func() { s.loop.driver.Traffic(&s.state) })
	}
	l := r.loopOf(c.EventLoop())
	s := &socket{conn: c, fd: c.Fd(), loop: l}
	c.SetContext(s)
	return nil, s.turn(func() { l.driver.Open(&s.state, s, addrPort(c.RemoteAddr())) })
}

// OnTraffic implements gnet.EventHandler.
func (r *Reactor) OnTraffic(c gnet.Conn) gnet.Action {
	s, ok := c.Context().(*socket)
	if !ok {
		return gnet.Close
	}
	return s.turn(func() { s.loop.driver.Traffic(&s.state) })
}

// OnClose implements gnet.EventHandler.
func (r *Reactor) OnClose(c gnet.Conn, _ error) gnet.Action {
	if s, ok := c.Context().(*socket); ok && s.conn != nil {
		s.gone() // first: nothing may use it any more
		s.loop.driver.Closed(&s.state)
	}
	return gnet.None
}

// OnTick implements gnet.EventHandler. It is called on a goroutine of its own,
// so it asks each loop to turn its wheel itself.
func (r *Reactor) OnTick() (time.Duration, gnet.Action) {
	asked := time.Now()
	for i := range r.loops {
		if l := r.loops[i].Load(); l != nil {
			_ = l.gnet.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
				l.driver.Tick(asked)
				l.enrolled(time.Now())
				return nil
			}))
		}
	}
	return tickEvery, gnet.None
}

// turn runs a callback of the connection and gives gnet's action for it.
func (s *socket) turn(callback func()) gnet.Action {
	s.inside = true
	callback()
	s.inside = false
	switch {
	case s.closing:
		s.closeSpare()
		s.gone()
		return gnet.Close
	case s.leaving:
		s.leave()
		return gnet.Close
	}
	return gnet.None
}

// loopOf gives the driver loop of a gnet loop. gnet names its loops only to
// their connections, so each is learned at its first one, on its own thread.
func (r *Reactor) loopOf(e gnet.EventLoop) *loop {
	for i := range r.loops {
		if l := r.loops[i].Load(); l != nil && l.gnet == e {
			return l
		}
	}
	l := &loop{reactor: r, gnet: e}
	return r.learn(l)
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp != nil {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	}
	return netip.AddrPort{}
}

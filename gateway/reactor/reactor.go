// Package reactor runs driver loops on gnet. It is the only package that knows
// gnet, and the place where gnet's hazards are met; ARCHITECTURE.md lists them.
package reactor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
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
	// AcceptFailed counts a connection that could not be accepted, by AcceptCause. It
	// and AcceptTrouble, which is for the log, are called on goroutines that accept.
	AcceptFailed  func(cause string)
	AcceptTrouble func(Trouble)
}

// readSize is how much is read from a connection at a time: what a session that is
// paused may have to carry.
const readSize = 32 << 10

// tickEvery is how often loops turn their timer wheels.
const tickEvery = 100 * time.Millisecond

// Reactor is a set of gnet loops with the driver's loops on them. gnet calls it a
// client, as it listens nowhere: accept.go hands it the connections.
type Reactor struct {
	gnet.BuiltinEventEngine
	shared    *driver.Shared
	options   Options
	client    *gnet.Client
	listeners []*listener
	accepting sync.WaitGroup
	booted    chan struct{}
	stop      chan struct{} // closed by Stop
	stopping  sync.Once
	stopped   chan struct{} // closed when all has ended
	dead      chan error    // gets ErrLoopEnded
	asked     atomic.Bool   // Stop was called
	loops     []atomic.Pointer[loop]
}

// loop ties a driver loop to the gnet loop that runs it.
type loop struct {
	reactor *Reactor
	gnet    gnet.EventLoop
	driver  *driver.Loop
	wake    gnet.Runnable

	enrolments []enrolment
	ticking    atomic.Bool // a tick was asked for and has not come
	missed     int         // ticks that were not asked for because of that, in a row
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
		booted:  make(chan struct{}),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		dead:    make(chan error, 1),
		loops:   make([]atomic.Pointer[loop], o.Loops),
	}
}

// ErrLoopEnded says that an event loop does not turn any more.
var ErrLoopEnded = errors.New("an event loop has ended by itself or stands still")

// Run listens and serves until Stop, and then returns nil. An error says that it
// could not begin.
func (r *Reactor) Run() (err error) {
	if r.listeners, err = listen(&r.options); err != nil {
		return err
	}
	if err := r.startLoops(); err != nil {
		closeAll(r.listeners)
		return err
	}
	for _, l := range r.listeners {
		a := &acceptor{listener: l, options: &r.options, enroll: r.enroll, stop: r.stop}
		for range acceptorsPerLoop * r.options.Loops {
			r.accepting.Go(a.run)
		}
	}
	close(r.booted)
	<-r.stopped
	return nil
}

func (r *Reactor) startLoops() (err error) {
	r.client, err = gnet.NewClient(r,
		gnet.WithNumEventLoop(r.options.Loops),
		gnet.WithTicker(true),
		gnet.WithReadBufferCap(readSize),
		gnet.WithTCPNoDelay(gnet.TCPDelay), // net's Accept has set TCP_NODELAY
		gnet.WithLogger(silent{}),
		gnet.WithLogLevel(logging.FatalLevel),
	)
	if err != nil {
		return err
	}
	return r.client.Start()
}

// enroll hands a connection to the loop that has the fewest.
func (r *Reactor) enroll(conn net.Conn, l *listener) error {
	_, err := r.client.EnrollContext(conn, l)
	return err
}

// Booted is closed when the listeners accept.
func (r *Reactor) Booted() <-chan struct{} { return r.booted }

// Bound returns the addresses that it listens on, once Booted is closed.
func (r *Reactor) Bound() []Bound {
	bound := make([]Bound, 0, len(r.listeners))
	for _, l := range r.listeners {
		bound = append(bound, l.bound)
	}
	return bound
}

// Addresses returns the addresses of Bound.
func (r *Reactor) Addresses() []string {
	var all []string
	for _, b := range r.Bound() {
		all = append(all, b.Address)
	}
	return all
}

// Failed gets ErrLoopEnded when a loop does not turn any more. The other loops go
// on, so that sessions can be drained before Stop.
func (r *Reactor) Failed() <-chan error { return r.dead }

// Stop ends Run. Sessions must have been drained: what is left is cut.
func (r *Reactor) Stop(ctx context.Context) error {
	select {
	case <-r.booted:
	default:
		return nil
	}
	go r.stopping.Do(func() {
		close(r.stop)
		closeAll(r.listeners)
		r.acceptorsEnd(ctx)
		r.asked.Store(true)
		_ = r.client.Stop() // the error is that of a loop that ended before
		close(r.stopped)
	})
	select {
	case <-r.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// acceptorsEnd waits for the acceptors, each of which may wait for a loop to take
// its connection: the loops must turn until then.
func (r *Reactor) acceptorsEnd(ctx context.Context) {
	ended := make(chan struct{})
	go func() { r.accepting.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
	}
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

// OnClose implements gnet.EventHandler. The end of input is not the end of the
// connection: its client may still read what it is owed (RFC 9293 §3.6). gnet's
// descriptor is open until OnClose returns.
func (r *Reactor) OnClose(c gnet.Conn, err error) gnet.Action {
	s, ok := c.Context().(*socket)
	if !ok || s.conn == nil {
		return gnet.None
	}
	if errors.Is(err, io.EOF) && s.loop.driver.Owes(&s.state) && s.keep() == nil {
		s.loop.driver.InputEnded(&s.state)
		return gnet.None
	}
	s.gone() // first: nothing may use it any more
	s.loop.driver.Closed(&s.state, r.ending(err))
	return gnet.None
}

// ending returns how a connection ended that gnet closes for err.
func (r *Reactor) ending(err error) driver.Ending {
	switch {
	case r.asked.Load():
		return driver.EndCut
	case err == nil || errors.Is(err, io.EOF):
		return driver.EndClosed
	default:
		return driver.EndReset
	}
}

// missedTicks is how many ticks in a row a loop may miss before it is taken for
// ended: a minute. They are counted, not timed: a process that was stopped for an
// hour has missed none.
const missedTicks = 600

// OnTick implements gnet.EventHandler. It is called on a goroutine of its own,
// so it asks each loop to turn its wheel itself.
func (r *Reactor) OnTick() (time.Duration, gnet.Action) {
	for i := range r.loops {
		if l := r.loops[i].Load(); l != nil && !l.askTick() {
			select {
			case r.dead <- ErrLoopEnded:
			default:
			}
		}
	}
	return tickEvery, gnet.None
}

// askTick asks a loop for a tick, unless it is still to come. It reports whether the
// loop may be alive.
func (l *loop) askTick() bool {
	if !l.ticking.CompareAndSwap(false, true) {
		l.missed++
		return l.missed < missedTicks
	}
	l.missed = 0
	asked := time.Now()
	_ = l.gnet.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		l.ticking.Store(false)
		l.driver.Tick(asked)
		l.enrolled(time.Now())
		return nil
	}))
	return true
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

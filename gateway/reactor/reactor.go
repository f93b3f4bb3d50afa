// Package reactor runs driver loops on gnet. It is the only package that imports gnet and
// that handles gnet's hazards, which ARCHITECTURE.md lists.
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
	"sluice/internal/panics"
)

// Endpoint is an address to listen on, and what the sessions of its connections have in
// common.
type Endpoint struct {
	Address  string // host:port
	Listener *driver.Listener
}

// Options are the settings of a Reactor.
type Options struct {
	Endpoints     []Endpoint
	Loops         int
	SendBuffer    int // SO_SNDBUF of each connection in bytes
	ReceiveBuffer int // SO_RCVBUF
	// NewRandom returns the random source of a loop.
	NewRandom func() driver.Random
	// AcceptFailed counts a connection that could not be accepted, by AcceptCause.
	// AcceptTrouble receives what is to be logged. Both are called on accepting
	// goroutines.
	AcceptFailed  func(cause string)
	AcceptTrouble func(Trouble)
}

// readSize is the most that one read returns. A paused session may have to carry that
// much input.
const readSize = 32 << 10

// tickEvery is the interval of the loops' timer wheels.
const tickEvery = 100 * time.Millisecond

// Reactor is a set of gnet loops that run the driver's loops. It is a gnet client, which
// does not listen: accept.go hands it the connections.
type Reactor struct {
	gnet.BuiltinEventEngine
	shared     *driver.Shared
	options    Options
	client     *gnet.Client
	listeners  []*listener
	accepting  sync.WaitGroup
	booted     chan struct{}
	stop       chan struct{} // closed by Stop
	stopOnce   sync.Once
	stopped    chan struct{} // closed once everything has ended
	loopEnded  chan error    // receives ErrLoopEnded
	stopCalled atomic.Bool   // Stop was called
	loops      []atomic.Pointer[loop]
}

// New returns a reactor that serves shared.
func New(shared *driver.Shared, o Options) *Reactor {
	return &Reactor{
		shared: shared, options: o,
		booted:    make(chan struct{}),
		stop:      make(chan struct{}),
		stopped:   make(chan struct{}),
		loopEnded: make(chan error, 1),
		loops:     make([]atomic.Pointer[loop], o.Loops),
	}
}

// Run listens and serves until Stop, and then returns nil. An error means that it could
// not start.
func (r *Reactor) Run() (err error) {
	defer panics.Recover(panics.Process, &err)
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
			r.accepting.Go(func() { panics.Keep(panics.Accept, a.run) })
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

// silent is a gnet logger that discards all messages. The results of gnet's calls report
// everything that matters.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// enroll hands a connection to the loop with the fewest connections.
func (r *Reactor) enroll(conn net.Conn, l *listener) error {
	_, err := r.client.EnrollContext(conn, l)
	return err
}

// Booted returns a channel that is closed once the listeners accept.
func (r *Reactor) Booted() <-chan struct{} { return r.booted }

// Bound returns the bound addresses. It may be called once Booted is closed.
func (r *Reactor) Bound() []Bound {
	bound := make([]Bound, 0, len(r.listeners))
	for _, l := range r.listeners {
		bound = append(bound, l.bound)
	}
	return bound
}

// Addresses returns the addresses of Bound as host:port.
func (r *Reactor) Addresses() []string {
	var all []string
	for _, b := range r.Bound() {
		all = append(all, b.Address)
	}
	return all
}

// Failed returns a channel that receives ErrLoopEnded when a loop no longer runs. The
// other loops continue, so that sessions can be drained before Stop.
func (r *Reactor) Failed() <-chan error { return r.loopEnded }

// Stop ends Run. The caller must have drained the sessions: any that are left are cut.
func (r *Reactor) Stop(ctx context.Context) error {
	select {
	case <-r.booted:
	default:
		return nil
	}
	go r.stopOnce.Do(func() {
		defer panics.Recover(panics.Process, nil)
		close(r.stop)
		closeAll(r.listeners)
		r.waitAcceptors(ctx)
		r.stopCalled.Store(true)
		_ = r.client.Stop() // the only error is that of a loop that ended before
		close(r.stopped)
	})
	select {
	case <-r.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitAcceptors waits for the acceptors to end. Each of them may be waiting for a loop to
// take its connection, so the loops must run until then.
func (r *Reactor) waitAcceptors(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer panics.Recover(panics.Process, nil)
		r.accepting.Wait()
		close(ended)
	}()
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
		s.reattach(c)
		return nil, s.turn(func() { s.loop.driver.Traffic(&s.state) })
	}
	at := c.Context().(*listener) // of enroll
	l := r.loopOf(c.EventLoop())
	s := &socket{conn: c, fd: c.Fd(), loop: l}
	c.SetContext(s)
	return nil, s.turn(func() { l.driver.Open(&s.state, s, addrPort(c.RemoteAddr()), at.sessions) })
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
// connection: its client may still read pending replies (RFC 9293 §3.6). gnet's
// descriptor is open until OnClose returns.
func (r *Reactor) OnClose(c gnet.Conn, err error) gnet.Action {
	s, ok := c.Context().(*socket)
	if !ok || s.conn == nil {
		return gnet.None
	}
	if errors.Is(err, io.EOF) && s.loop.driver.Owes(&s.state) && s.keepDuplicate() == nil {
		s.loop.driver.InputEnded(&s.state)
		return gnet.None
	}
	s.markClosed() // first: nothing may use the descriptor any more
	s.loop.driver.Closed(&s.state, r.ending(err))
	return gnet.None
}

// ending returns the way in which a connection ended that gnet closes with err.
func (r *Reactor) ending(err error) driver.Ending {
	switch {
	case r.stopCalled.Load():
		return driver.EndCut
	case err == nil || errors.Is(err, io.EOF):
		return driver.EndClosed
	default:
		return driver.EndReset
	}
}

// OnTick implements gnet.EventHandler. gnet calls it on a goroutine of its own, so it
// asks each loop to advance its timer wheel itself.
func (r *Reactor) OnTick() (time.Duration, gnet.Action) {
	defer panics.Recover(panics.Ticker, nil)
	for i := range r.loops {
		if l := r.loops[i].Load(); l != nil && !l.askTick() {
			select {
			case r.loopEnded <- ErrLoopEnded:
			default:
			}
		}
	}
	return tickEvery, gnet.None
}

// turn runs a callback of the connection and returns gnet's action for it.
func (s *socket) turn(callback func()) gnet.Action {
	s.inCallback = true
	callback()
	s.inCallback = false
	switch {
	case s.closing:
		s.dropDuplicate()
		s.markClosed()
		return gnet.Close
	case s.pausing:
		s.detach()
		return gnet.Close
	}
	return gnet.None
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp != nil {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
	}
	return netip.AddrPort{}
}

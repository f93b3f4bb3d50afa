package reactor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"sluice/gateway/driver"
)

// loop connects a driver loop with the gnet loop that runs it.
type loop struct {
	reactor *Reactor
	gnet    gnet.EventLoop
	driver  *driver.Loop
	wake    gnet.Runnable

	enrolments []enrolment
	ticking    atomic.Bool // a tick was requested and has not run yet
	missed     int         // consecutive ticks skipped because the one before had not run
}

// Wake implements driver.Waker. After Stop, gnet would write the wake-up to a descriptor
// that it has closed.
func (l *loop) Wake() {
	if !l.reactor.stopCalled.Load() {
		_ = l.gnet.Execute(context.Background(), l.wake)
	}
}

// loopOf returns the driver loop of a gnet loop. gnet passes its loops only to callbacks
// of their connections, so a loop is added at its first connection, on its own thread.
func (r *Reactor) loopOf(e gnet.EventLoop) *loop {
	for i := range r.loops {
		if l := r.loops[i].Load(); l != nil && l.gnet == e {
			return l
		}
	}
	l := &loop{reactor: r, gnet: e}
	return r.addLoop(l)
}

// addingLoop is held once for each loop, at its first connection.
var addingLoop sync.Mutex

// addLoop creates the driver loop of the gnet loop l.
func (r *Reactor) addLoop(l *loop) *loop {
	addingLoop.Lock()
	defer addingLoop.Unlock()
	l.driver = r.shared.NewLoop(l, r.options.NewRandom())
	l.wake = gnet.RunnableFunc(func(context.Context) error {
		l.driver.Run()
		return nil
	})
	for i := range r.loops {
		if r.loops[i].CompareAndSwap(nil, l) {
			return l
		}
	}
	panic("reactor: more gnet loops than were asked for")
}

// ErrLoopEnded means that an event loop no longer runs.
var ErrLoopEnded = errors.New("an event loop has ended by itself or stands still")

// missedTicks is the number of consecutive missed ticks, about a minute's, after which a
// loop is considered dead. Ticks are counted instead of measuring time, because a process
// that was stopped for an hour has missed none.
const missedTicks = 600

// askTick requests a tick of the loop, unless one is still pending. It reports whether
// the loop may be alive.
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
		l.checkEnrolments(time.Now())
		return nil
	}))
	return true
}

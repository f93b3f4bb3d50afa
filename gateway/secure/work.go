package secure

import (
	"context"
	"errors"

	"sluice/codec/tlscodec"
	"sluice/gateway/driver"
)

// errGone is the error of a handshake for which nobody waits, errAborted that of one that
// has no loop to come home to.
var (
	errGone    = errors.New("the peer has gone")
	errAborted = errors.New("the process ends")
)

// work is a handshake in the pool.
type work struct {
	pool      *Pool
	h         *driver.Handshake // the goroutine's while it is not at home
	resume    chan struct{}     // by Continue
	dropped   chan struct{}     // closed by Drop
	forgotten bool              // dropped is closed; the loop's
	computing bool              // it has one of the pool's places; the goroutine's
}

// run runs the handshake.
func (w *work) run() error {
	defer w.rest()
	if err := w.compute(); err != nil {
		return err
	}
	growStack(0)
	conn, begun := tlscodec.New(w.pool.options.Config()), false
	err := conn.Handshake(context.Background(), func(out []byte) ([]byte, error) {
		if !begun {
			begun = true
			return w.h.In, nil
		}
		return w.exchange(out)
	})
	w.h.Out = conn.Flush(nil)
	if err != nil {
		return err
	}
	w.h.About, w.h.Records = w.pool.about(conn.State()), conn
	return nil
}

// growStack returns 0, and has its goroutine's stack grow to that of a handshake at once. It
// would be copied three times else, with more frames each time (docs/measurements.md, TLS).
//
//go:noinline
func growStack(i int) byte {
	var frame [9 << 10]byte // more than half of the 16 KiB
	return frame[i]
}

// exchange has the loop send the output and waits for the records that the peer answers
// with. Others may compute meanwhile.
func (w *work) exchange(out []byte) (in []byte, err error) {
	w.rest()
	if w.ended() {
		return nil, errGone
	}
	w.h.Out = out
	w.h.Home.Post(&w.h.Task)
	select {
	case <-w.resume:
	case <-w.pool.aborted:
		return nil, errAborted
	}
	if w.h.Gone {
		return nil, errGone
	}
	if err := w.compute(); err != nil {
		return nil, err
	}
	return w.h.In, nil
}

// compute waits for a place among those that compute.
func (w *work) compute() error {
	if w.ended() {
		return errGone
	}
	select {
	case w.pool.computing <- struct{}{}:
		w.computing = true
		return nil
	case <-w.dropped:
		return errGone
	case <-w.pool.aborted:
		return errAborted
	}
}

// rest returns the place, if it has one.
func (w *work) rest() {
	if w.computing {
		w.computing = false
		<-w.pool.computing
	}
}

// ended reports whether the handshake was dropped, or has no loop any more.
func (w *work) ended() bool {
	select {
	case <-w.dropped:
		return true
	case <-w.pool.aborted:
		return true
	default:
		return false
	}
}

// end ends the handshake with the result of run, and takes it home.
func (w *work) end(err error) {
	p, h := w.pool, w.h
	p.begun.Give(h.Client)
	select {
	case <-p.aborted:
	default:
		h.Done, h.Err = true, err
		if err != nil {
			h.Records, h.About, h.Cause = nil, nil, causeOf(err)
		}
		h.Home.Post(&h.Task)
	}
	p.life.Done(1)
}

package verifier

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// work is the state of a message. One goroutine at a time reads its pieces.
type work struct {
	v       *Verifier
	checks  Checks
	check   Check
	client  netip.Addr
	limit   time.Duration
	ctx     context.Context // ends when nobody wants the verdict any more
	cancel  context.CancelFunc
	pieces  queue
	dropped atomic.Bool
	sender  *finding  // FindSender
	keys    *finding  // FindKeys, nil before the header was read
	ended   time.Time // the final dot
}

// finding is a look-up at work.
type finding struct {
	done chan struct{} // closed behind it
	late bool          // the time was over before it was done
}

// find runs a look-up.
func (w *work) find(look func(context.Context)) *finding {
	f := &finding{done: make(chan struct{})}
	w.v.life.Begin()
	go func() {
		defer w.v.life.Done(1)
		defer close(f.done)
		defer context.AfterFunc(w.v.ctx, w.cancel)()
		ctx, cancel := context.WithTimeout(w.ctx, w.limit)
		defer cancel()
		if lane := w.v.lanes.enter(ctx, w.client); lane != nil {
			growStack(0)
			_ = panics.Try(panics.Verify, func() error { look(ctx); return nil }) // what was not found is missing
			leave(lane)
		}
		f.late = ctx.Err() != nil
	}()
	return f
}

// await waits until a look-up is done. When ctx is over it ends all look-ups. It reports
// whether this one had less time than it needed.
func (w *work) await(ctx context.Context, f *finding) (late bool) {
	if f == nil {
		return false // nothing was read
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		w.cancel()
		<-f.done
	}
	return f.late
}

// run reads pieces until there are none.
func (w *work) run() {
	for {
		p := w.pieces.take()
		if p == nil {
			return
		}
		switch {
		case p.Kind == pipeline.PieceEnd:
			w.end(p)
		case w.dropped.Load(): // its result does not matter
		case p.Kind == pipeline.PieceHeader:
			p.Err = w.v.compute(func() { p.Forged = w.check.ReadHeader(p.Chunks, p.TooLong) })
			if len(p.Forged) > 0 {
				w.v.observer.Forged(len(p.Forged))
			}
			if p.Err == nil {
				w.keys = w.find(w.check.FindKeys)
			}
		default:
			p.Err = w.v.compute(func() {
				for _, chunk := range p.Chunks {
					w.check.ReadText(chunk)
				}
			})
		}
		p.Done()
	}
}

// end judges the message.
func (w *work) end(p *pipeline.Piece) {
	defer context.AfterFunc(w.v.ctx, w.cancel)()
	ctx, cancel := context.WithDeadline(w.ctx, w.ended.Add(w.limit))
	defer cancel()
	late := w.await(ctx, w.sender)
	late = w.await(ctx, w.keys) || late
	if !w.dropped.Load() {
		ask := func(look func()) { w.ask(ctx, look) }
		if w.v.compute(func() { p.Verdict = w.check.Judge(ctx, ask) }) != nil {
			p.Verdict = w.checks.Overdue()
		}
		late = late || errors.Is(ctx.Err(), context.DeadlineExceeded)
		w.v.observer.Verified(p.Verdict.Verdicts, late)
	}
	w.cancel()
}

// ask runs a look-up of one that computes, in the turn of its client: others may have the
// processor meanwhile. Whoever answers for a sender's domain chooses how long that takes.
func (w *work) ask(ctx context.Context, look func()) {
	<-w.v.slots
	defer func() { w.v.slots <- struct{}{} }()
	if lane := w.v.lanes.enter(ctx, w.client); lane != nil {
		defer leave(lane)
	}
	look()
}

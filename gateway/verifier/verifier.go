// Package verifier has messages verified beside the event loops: it implements
// pipeline.Verifier. What there is to check is told by a Check; the order of its steps, the
// processors that they take and the time that they may need are told here.
package verifier

import (
	"context"
	"runtime"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
	"sluice/pipeline/inflight"
)

// Check is the verification of one message. Its methods are called one after another, but
// for FindSender and FindKeys, which wait for the DNS and run beside the others.
type Check interface {
	// FindSender looks up what concerns the client and the sender of MAIL. It ends soon
	// after ctx does.
	FindSender(ctx context.Context)
	// ReadHeader reads the header, which goes on beyond chunks if it is too long. It returns
	// where in it the names of forged fields stand. Nothing of chunks is kept.
	ReadHeader(chunks [][]byte, tooLong bool) (forged []int)
	// FindKeys looks up what the header names. It comes behind ReadHeader, and ends soon
	// after ctx does.
	FindKeys(ctx context.Context)
	// ReadText reads the next octets of the text. Nothing of chunk is kept.
	ReadText(chunk []byte)
	// Judge returns the verdict, once all others have returned. What it still has to ask the
	// DNS it asks within ask, which lends its processor to others meanwhile. It waits for
	// nothing else when ctx is over.
	Judge(ctx context.Context, ask func(look func())) pipeline.Verdict
}

// Checks begins the verification of messages, as one configuration has it.
type Checks interface {
	// Begin returns the check of a message. It reads what was said before MAIL, and the
	// reverse path; nothing of m is kept.
	Begin(m *pipeline.Message) Check
	// Overdue returns the verdict on a message of which nothing is known in time.
	Overdue() pipeline.Verdict
}

// Observer is told of verdicts, on any goroutine.
type Observer interface {
	// Verified is called with the verdict on a message, and whether the time was over before
	// all was found.
	Verified(v *pipeline.Verdicts, overdue bool)
	// Forged is called with the number of forged fields in a header that has some.
	Forged(fields int)
}

// Verifier implements pipeline.Verifier.
type Verifier struct {
	checks   func() Checks
	deadline func() time.Duration
	observer Observer
	slots    chan struct{} // an element for each piece that is being read or judged
	lanes    *lanes
	life     *inflight.Tracker
	ctx      context.Context // ends with Close
	abort    context.CancelFunc
}

// Options are what a Verifier needs.
type Options struct {
	// Checks returns the present way to check messages.
	Checks func() Checks
	// Deadline returns the time from the final dot to the verdict. What is looked up before
	// has as much time of its own.
	Deadline func() time.Duration
	Observer Observer
}

// New returns a verifier without messages. It computes on half of the processors at most,
// as the loops need the others.
func New(o Options) *Verifier {
	v := &Verifier{
		checks: o.Checks, deadline: o.Deadline, observer: o.Observer,
		slots: make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)), lanes: newLanes(), life: inflight.New(),
	}
	v.ctx, v.abort = context.WithCancel(context.Background())
	return v
}

// Working returns the number of look-ups, readings and verdicts that are at work.
func (v *Verifier) Working() int64 { return v.life.Depth() }

// Close ends what is being looked up, and waits until nothing is at work. All
// sessions have ended before, so that no message begins any more.
func (v *Verifier) Close() {
	v.life.Close()
	v.abort()
	v.life.Wait()
}

// Begin implements pipeline.Verifier.
func (v *Verifier) Begin(m *pipeline.Message) any {
	w := &work{v: v, client: m.Client.Address.Addr(), limit: v.deadline(), checks: v.checks()}
	w.check = w.checks.Begin(m)
	w.ctx, w.cancel = context.WithCancel(context.Background()) // a child of v.ctx would take its lock
	w.sender = w.find(w.check.FindSender)
	return w
}

// Read implements pipeline.Verifier.
func (v *Verifier) Read(p *pipeline.Piece) {
	w := p.State.(*work)
	if p.Kind == pipeline.PieceEnd {
		w.ended = time.Now()
	}
	if !w.pieces.put(p) {
		return
	}
	v.life.Begin()
	go func() {
		defer v.life.Done(1)
		_ = panics.Try(panics.Verify, func() error { w.run(); return nil })
	}()
}

// Drop implements pipeline.Verifier.
func (v *Verifier) Drop(state any) {
	w := state.(*work)
	w.dropped.Store(true)
	w.cancel()
}

// Overdue implements pipeline.Verifier.
func (v *Verifier) Overdue() pipeline.Verdict {
	verdict := v.checks().Overdue()
	v.observer.Verified(verdict.Verdicts, true)
	return verdict
}

// compute calls f when a processor is free for it, and returns its panic as an error.
func (v *Verifier) compute(f func()) error {
	v.slots <- struct{}{}
	defer func() { <-v.slots }()
	growStack(0)
	return panics.Try(panics.Verify, func() error { f(); return nil })
}

// growStack returns 0, and has its goroutine's stack grow at once to that of a look-up or of
// a verification by RSA. It would be copied twice else, with more frames each time
// (docs/measurements.md, Verification). A goroutine that waits for its turn has less.
//
//go:noinline
func growStack(i int) byte {
	var frame [5 << 10]byte // more than half of the stack
	return frame[i]
}

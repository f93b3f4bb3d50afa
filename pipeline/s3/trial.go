package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline/pack"
)

const (
	// firstBackoff is the longest wait after the first failure. It doubles with each
	// further one, up to maxBackoff.
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = time.Second
	// maxRenewals is the number of times that a request is signed anew with other
	// credentials.
	maxRenewals = 2
)

// Causes of a further attempt at a request, as Options.Retried gets them.
const (
	RetrySilent = "silent" // no answer for longer than usual
	RetryBroken = "broken" // no connection, or it broke
	RetryBusy   = "busy"   // the store asked for it, by 503 or similar
)

// RetryCauses are all causes of a further attempt.
var RetryCauses = []string{RetrySilent, RetryBroken, RetryBusy}

// exchange is one request to the store and its answer. It may take several attempts.
type exchange struct {
	bytes  int64    // of the body, or what else its duration depends on
	head   []byte   // the body: head and chunks
	chunks [][]byte // lent until try returns
	// send makes an attempt. Attempts run at the same time.
	send func(ctx context.Context, body *payload) (answer string, err error)

	patience time.Duration // before a second attempt; 0 for the store's pace
	once     bool          // a failure is not retried; silence is
	lanes    *pack.Batcher // of a request of one of its lanes, otherwise nil
}

// trial is a request on its way through its attempts. At most two are in flight: one that
// stands still may be slow, so it stays until another one has stood still as well.
type trial struct {
	*Store
	exchange
	ctx       context.Context
	cancel    context.CancelFunc // ends all attempts
	results   chan result
	flying    []*attempt // oldest first
	begun     int
	failures  int
	failed    bool // an attempt has failed since the last one began
	renewals  int
	ambiguous bool   // an attempt that is no longer in flight may have taken effect
	last      error  // of the attempt that failed last
	spare     bool   // holds a spare request of the lanes
	closeLane func() // closes the lane that was opened; nil for none
}

// attempt is one try at a request.
type attempt struct {
	body    *payload
	keys    Keys // that it is signed with
	cancel  context.CancelFunc
	overdue int // how often its time was over
}

type result struct {
	*attempt
	answer   string
	err      error
	panicked bool // and would again
}

// ending is how a trial ended.
type ending struct {
	answer    string
	ambiguous bool
	err       error
}

// try makes a request. A failure that is transient is retried until ctx ends. An attempt
// that stands still for longer than such requests usually take gets another one beside it,
// by another connection. The bytes of the body are no longer read when it returns.
// ambiguous reports that an attempt other than the successful one may have taken effect,
// or may still do so.
//
// The first attempt runs on the caller's goroutine, because a goroutine of its own would
// wake other threads for each request. Only when it stands still does another one direct
// the trial.
func (s *Store) try(ctx context.Context, r exchange) (answer string, ambiguous bool, err error) {
	if r.patience == 0 {
		r.patience = s.longestIdle(r.bytes)
	}
	t := &trial{Store: s, exchange: r, results: make(chan result)}
	t.ctx, t.cancel = context.WithCancel(ctx)
	first, attemptContext := t.next()
	directed := make(chan ending, 1)
	overdue := time.AfterFunc(t.patience, func() {
		var e ending
		e.err = panics.Try(panics.Store, func() error {
			e = t.direct(ctx, nil)
			return e.err
		})
		directed <- e
	})
	got := t.attempt(attemptContext, first)
	var e ending
	if overdue.Stop() {
		e = t.direct(ctx, &got)
	} else {
		t.report(got)
		e = <-directed
	}
	return e.answer, e.ambiguous, e.err
}

// direct looks after the attempts until the trial ends. It begins with the result of the
// first one, or with nil when that is overdue.
func (t *trial) direct(ctx context.Context, first *result) ending {
	defer t.end()
	wait := time.Duration(0)
	if first != nil {
		var ended *ending
		if wait, ended = t.take(*first); ended != nil {
			return *ended
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case r := <-t.results:
			wait, ended := t.take(r)
			if ended != nil {
				return *ended
			}
			if wait >= 0 {
				timer.Reset(wait)
			}
		case <-timer.C:
			timer.Reset(t.proceed())
		case <-ctx.Done():
			return ending{"", t.maybe(), t.expired(ctx.Err())}
		}
	}
}

// take takes the result of an attempt. It returns the end of the trial, or how long to
// wait before the next attempt. That is negative when the attempt was given up before.
func (t *trial) take(r result) (wait time.Duration, ended *ending) {
	if !t.remove(r.attempt) {
		return -1, nil
	}
	if r.err == nil {
		if !t.once {
			t.pace.observe(t.bytes, r.body.Idle())
		}
		return 0, &ending{r.answer, t.maybe(), nil}
	}
	wait, again := t.fail(r)
	if !again {
		return 0, &ending{"", t.maybe(), t.explainTooLarge(r.err)}
	}
	return wait, nil
}

// start begins another attempt, on a goroutine of its own.
func (t *trial) start() {
	a, ctx := t.next()
	go func() {
		defer panics.Recover(panics.Store, nil)
		t.report(t.attempt(ctx, a))
	}()
}

// next returns another attempt, which is in flight from now on.
func (t *trial) next() (*attempt, context.Context) {
	ctx, cancel := context.WithCancel(t.ctx)
	a := &attempt{body: newPayload(t.head, t.chunks), keys: t.client.keys.get(), cancel: cancel}
	t.flying = append(t.flying, a)
	t.begun++
	t.failed = false
	return a, ctx
}

// attempt makes an attempt and returns its result.
func (t *trial) attempt(ctx context.Context, a *attempt) result {
	defer a.cancel()
	r := result{attempt: a, panicked: true}
	r.err = panics.Try(panics.Store, func() (err error) {
		r.answer, err = t.send(ctx, a.body)
		r.panicked = false
		return err
	})
	if whole := a.body.Revoke(); r.err == nil && !whole {
		r.err = errEarly
	}
	return r
}

// report gives a result to whoever directs the trial, if it has not ended.
func (t *trial) report(r result) {
	select {
	case t.results <- r:
	case <-t.ctx.Done():
	}
}

// fail takes the failure of an attempt. It returns how long to wait before the next one,
// and false when there is none.
func (t *trial) fail(r result) (wait time.Duration, again bool) {
	t.ambiguous, t.failed = t.ambiguous || uncertain(r.err), true
	if t.client.renew(r.err, r.keys) && t.renewals < maxRenewals {
		t.renewals++
		return 0, true
	}
	if t.once || r.panicked || !transient(r.err) {
		return 0, false
	}
	longest := min(firstBackoff<<min(t.failures, 10), maxBackoff)
	if t.failures++; t.failures == t.options.failures {
		return 0, false
	}
	// A random part, so that a fleet does not retry in step.
	wait = longest/2 + rand.N(longest/2)
	if end, ok := t.ctx.Deadline(); ok && len(t.flying) == 0 && time.Until(end) < wait {
		return 0, false
	}
	t.last = r.err
	cause := RetryBroken
	if _, answered := response(r.err); answered {
		cause = RetryBusy
	}
	t.options.Retried(cause, r.err)
	return wait, true
}

// proceed is called when it is time to look after the attempts in flight. It returns when
// it is time again.
func (t *trial) proceed() time.Duration {
	if len(t.flying) == 0 {
		t.start()
		return t.patience
	}
	newest := t.flying[len(t.flying)-1]
	patience := max(t.patience, t.longestIdle(t.bytes))
	if t.once {
		patience = t.patience
	}
	if idle := newest.body.Idle(); idle < patience && newest.overdue == 0 {
		return patience - idle
	}
	if newest.overdue > 0 && t.failed { // the one beside it; this one has not changed
		t.start()
		return t.patience
	}
	t.overdue(newest)
	if !t.makeRoom() {
		return t.patience
	}
	t.start()
	return t.patience
}

// longestIdle returns how long an attempt with a body of this size may stand still: as long as
// usual, but never so long that its message would have no time for another one.
func (s *Store) longestIdle(bytes int64) time.Duration {
	return min(s.pace.patience(bytes), max(leastPatience, s.options.Timeout/4))
}

// overdue notes that an attempt stands still. Connections that are idle may be as silent
// as its own, so the next attempt gets a new one.
func (t *trial) overdue(a *attempt) {
	a.overdue++
	t.patience *= 2
	t.client.transport.CloseIdleConnections()
	t.options.Retried(RetrySilent, fmt.Errorf("no answer for %v: %w", a.body.Idle().Round(time.Millisecond), errSilent))
}

// makeRoom reports whether another attempt may begin. The lanes have a spare request for
// each: without one, an attempt that has stood still for twice its time is given up.
func (t *trial) makeRoom() bool {
	if len(t.flying) > 1 {
		t.giveUp(t.flying[0])
		t.returnSpare()
	}
	a := t.flying[0]
	if t.closeLane == nil && t.pace.answeredSince(a.body.began) {
		t.closeLane = t.lanes.OpenLane() // the store answers others meanwhile
	}
	if t.spare = t.spare || t.lanes.TakeSpare(); t.spare {
		return true
	}
	if a.overdue < 2 {
		return false
	}
	t.giveUp(a)
	return true
}

// giveUp cancels an attempt. It may still take effect.
func (t *trial) giveUp(a *attempt) {
	a.cancel()
	a.body.Revoke()
	t.remove(a)
	t.ambiguous = true
}

// remove removes an attempt from those in flight and reports whether it was one.
func (t *trial) remove(a *attempt) bool {
	at := slices.Index(t.flying, a)
	if at < 0 {
		return false
	}
	t.flying = slices.Delete(t.flying, at, at+1)
	return true
}

// maybe reports whether an attempt other than the one that ends the trial may take effect.
func (t *trial) maybe() bool { return t.ambiguous || len(t.flying) > 0 }

var errSilent = errors.New("the store does not answer")

// expired returns the failure of a trial whose context has ended with err.
func (t *trial) expired(err error) error {
	if t.last != nil { // it tells more
		return t.explainTooLarge(t.last)
	}
	return fmt.Errorf("no answer to %d attempts: %w", t.begun, err)
}

// end cancels what is in flight and returns what is lent.
func (t *trial) end() {
	t.cancel()
	for _, a := range t.flying {
		a.body.Revoke()
	}
	t.returnSpare()
	if t.closeLane != nil {
		t.closeLane()
	}
}

func (t *trial) returnSpare() {
	if t.spare {
		t.spare = false
		t.lanes.ReturnSpare()
	}
}

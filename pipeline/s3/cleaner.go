package s3

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"sluice/internal/panics"
)

const (
	maxLeftovers   = 4096 // of a few hundred bytes each
	cleanAttempts  = 10   // over about five minutes
	cleanFirstWait = 250 * time.Millisecond
	cleanMaxWait   = time.Minute
	// cleanFinal bounds the final pass, at Close.
	cleanFinal = 5 * time.Second
)

// cleanAgain is when that is removed once more which a given-up request may still bring,
// each time after the time before. After the first, the rest of the request was
// acknowledged or its connection is gone. After the others, so is what a server or a
// balancer before it had kept of it.
var cleanAgain = []time.Duration{unacknowledgedTimeout + time.Second, time.Minute, 5 * time.Minute}

var errTooMany = errors.New("too many others wait to be removed")

// leftover lists what a failed or aborted message may have left in the bucket.
type leftover struct {
	key    string
	upload string // id of an upload, "" for none
	strays bool   // the key may have uploads whose ids never reached us
	object bool   // the object itself may exist
	// late means that the request which was given up may still arrive, so that the object
	// or the upload appears after it was removed.
	late bool

	removed  int // how often
	attempts int
	next     time.Time
}

// cleaner removes leftovers one at a time, with a bounded number of attempts for each. It
// reports what it gives up to Options.LeftBehind. That stays for the bucket's lifecycle
// rule or a sweep.
type cleaner struct {
	store  *Store
	inbox  chan leftover
	stop   chan struct{}
	ended  atomic.Bool
	failed atomic.Int64
}

func newCleaner(s *Store) *cleaner {
	return &cleaner{store: s, inbox: make(chan leftover, maxLeftovers), stop: make(chan struct{})}
}

// add queues a leftover. It never blocks: when the queue is full it gives up.
func (c *cleaner) add(l leftover) {
	if c.ended.Load() {
		c.giveUp(l, errClosed)
		return
	}
	select {
	case c.inbox <- l:
	default:
		c.giveUp(l, errTooMany)
	}
}

func (c *cleaner) giveUp(l leftover, err error) {
	if l.removed > 0 { // as far as is known
		return
	}
	c.failed.Add(1)
	c.store.options.LeftBehind(l.key, err)
}

// close ends the cleaner after a final pass. Leftovers that are added later are given up.
func (c *cleaner) close() { close(c.stop) }

func (c *cleaner) run() {
	var waiting []leftover
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilNext(waiting))
		select {
		case l := <-c.inbox:
			waiting = c.enlist(waiting, l)
		case <-timer.C:
		case <-c.stop:
			c.finalPass(waiting)
			return
		}
		waiting = c.cleanDue(waiting)
	}
}

// enlist adds a leftover to those that wait. When they are too many it takes the place of
// one that was removed already, and waits only for what may still come; if there is none,
// it is given up.
func (c *cleaner) enlist(waiting []leftover, l leftover) []leftover {
	if len(waiting) < maxLeftovers {
		return append(waiting, l)
	}
	most := 0 // index of the one that was removed most often
	for i := range waiting {
		if waiting[i].removed > waiting[most].removed {
			most = i
		}
	}
	if waiting[most].removed == 0 {
		c.giveUp(l, errTooMany)
		return waiting
	}
	waiting[most] = l
	return waiting
}

// untilNext returns the time until the next leftover is due, at most cleanMaxWait.
func untilNext(waiting []leftover) time.Duration {
	wait := cleanMaxWait
	for _, l := range waiting {
		wait = min(wait, time.Until(l.next))
	}
	return max(wait, 0)
}

// cleanDue tries to remove one leftover that is due. It returns those that remain.
func (c *cleaner) cleanDue(waiting []leftover) []leftover {
	now := time.Now()
	for i := range waiting {
		l := &waiting[i]
		if l.next.After(now) {
			continue
		}
		ctx, cancel := context.WithTimeout(c.store.ctx, c.store.options.Timeout)
		used := c.store.client.keys.get()
		err := c.cleanBy(ctx, *l)
		c.store.client.renew(err, used) // for the next attempt
		cancel()
		if err != nil {
			wait := min(cleanFirstWait<<l.attempts, cleanMaxWait)
			l.attempts, l.next = l.attempts+1, time.Now().Add(wait)
			if l.attempts < cleanAttempts || c.store.ctx.Err() != nil { // finalPass tries again
				return waiting
			}
			c.giveUp(*l, err)
		} else if again := c.store.options.cleanAgain; l.late && l.removed < len(again) {
			l.next = time.Now().Add(again[l.removed])
			l.removed, l.attempts = l.removed+1, 0
			return waiting
		}
		waiting[i] = waiting[len(waiting)-1]
		return waiting[:len(waiting)-1]
	}
	return waiting
}

// finalPass tries every leftover once more when the store is closed.
func (c *cleaner) finalPass(waiting []leftover) {
	timeout := min(cleanFinal, c.store.options.Timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c.ended.Store(true)
	for len(c.inbox) > 0 {
		waiting = append(waiting, <-c.inbox)
	}
	for _, l := range waiting {
		err := panics.Try(panics.Store, func() error { return c.clean(ctx, l) })
		if err != nil {
			c.giveUp(l, err)
		}
	}
}

// cleanBy removes a leftover, by another connection when the first is silent.
func (c *cleaner) cleanBy(ctx context.Context, l leftover) error {
	_, _, err := c.store.try(ctx, exchange{once: true, send: func(ctx context.Context, _ *payload) (string, error) {
		return "", c.clean(ctx, l)
	}})
	return err
}

// clean removes a leftover. It is no error when there is nothing to remove.
func (c *cleaner) clean(ctx context.Context, l leftover) error {
	s := c.store
	if l.upload != "" {
		if err := c.abort(ctx, l.key, l.upload); err != nil {
			return err
		}
	}
	if l.strays {
		err := s.Uploads(ctx, l.key, func(key, id string) error {
			if key != l.key {
				return nil
			}
			return c.abort(ctx, key, id)
		})
		if err != nil {
			return err
		}
	}
	if l.object {
		err := s.client.RemoveObject(ctx, s.bucket, l.key, minio.RemoveObjectOptions{})
		if err != nil && !isCode(err, codeNoSuchKey) {
			return err
		}
	}
	return nil
}

func (c *cleaner) abort(ctx context.Context, key, id string) error {
	err := c.store.client.AbortMultipartUpload(ctx, c.store.bucket, key, id)
	if isCode(err, codeNoSuchUpload) || isCode(err, codeNoSuchKey) {
		return nil
	}
	return err
}

package s3

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	maxLeftovers   = 4096 // a few hundred octets each
	cleanTries     = 10   // some five minutes in all
	cleanFirstWait = 250 * time.Millisecond
	cleanMaxWait   = time.Minute
	// cleanAtEnd bounds the last look, at Close.
	cleanAtEnd = 5 * time.Second
)

var errTooMany = errors.New("too many others wait to be removed")

// leftover is what a message that failed may have left in the bucket.
type leftover struct {
	key    string
	upload string // the id of an upload, "" for none
	strays bool   // perhaps uploads of the key whose ids never came to us
	object bool   // perhaps the object itself

	tries int
	next  time.Time
}

// cleaner removes leftovers, one at a time and again when that fails, a bounded
// number of times. What it gives up is told, and left to the bucket's lifecycle
// rule or the sweep.
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

// add takes a leftover and never blocks.
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
	c.failed.Add(1)
	c.store.options.LeftBehind(l.key, err)
}

// close ends the cleaner; it has one more look at everything. What is added later is
// given up.
func (c *cleaner) close() { close(c.stop) }

func (c *cleaner) run() {
	var waiting []leftover
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(untilFirst(waiting))
		select {
		case l := <-c.inbox:
			if len(waiting) >= maxLeftovers {
				c.giveUp(l, errTooMany)
				continue
			}
			waiting = append(waiting, l)
		case <-timer.C:
		case <-c.stop:
			c.last(waiting)
			return
		}
		waiting = c.cleanDue(waiting)
	}
}

// untilFirst is how long the first of them has time.
func untilFirst(waiting []leftover) time.Duration {
	wait := cleanMaxWait
	for _, l := range waiting {
		wait = min(wait, time.Until(l.next))
	}
	return max(wait, 0)
}

// cleanDue tries one that is due and gives those that still wait.
func (c *cleaner) cleanDue(waiting []leftover) []leftover {
	now := time.Now()
	for i := range waiting {
		l := &waiting[i]
		if l.next.After(now) {
			continue
		}
		ctx, cancel := context.WithTimeout(c.store.ctx, c.store.options.Timeout)
		used := c.store.client.secret.get()
		err := c.clean(ctx, *l)
		c.store.client.renew(err, used) // for the next look
		cancel()
		if err != nil {
			wait := min(cleanFirstWait<<l.tries, cleanMaxWait)
			l.tries, l.next = l.tries+1, time.Now().Add(wait)
			if l.tries < cleanTries || c.store.ctx.Err() != nil { // last has another look
				return waiting
			}
			c.giveUp(*l, err)
		}
		waiting[i] = waiting[len(waiting)-1]
		return waiting[:len(waiting)-1]
	}
	return waiting
}

// last tries everything once more when the store is closed.
func (c *cleaner) last(waiting []leftover) {
	ctx, cancel := context.WithTimeout(context.Background(), min(cleanAtEnd, c.store.options.Timeout))
	defer cancel()
	c.ended.Store(true)
	for len(c.inbox) > 0 {
		waiting = append(waiting, <-c.inbox)
	}
	for _, l := range waiting {
		if err := c.clean(ctx, l); err != nil {
			c.giveUp(l, err)
		}
	}
}

// clean removes a leftover. What is not there any more, or never was, is no error.
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

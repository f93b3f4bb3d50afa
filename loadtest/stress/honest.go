package stress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
)

// honest is what the honest senders have seen.
type honest struct {
	mu      sync.Mutex
	took    []time.Duration // of each small mail, from the first attempt to its 250 or to the last attempt
	lost    atomic.Int64    // small mails among them that were never taken
	retries atomic.Int64    // of small mails
	large   atomic.Int64
	refused *tally // answers to large mails that were not 250
}

func (o *honest) slowest() time.Duration {
	if len(o.took) == 0 {
		return time.Hour
	}
	slices.Sort(o.took)
	return o.took[len(o.took)*99/100]
}

// taken returns the number of small mails that were taken.
func (o *honest) taken() float64 { return float64(int64(len(o.took)) - o.lost.Load()) }

func (o *honest) String() string {
	return fmt.Sprintf("%.0f small mails, 99 %% within %v, %d retries; %d large ones, not taken: %s",
		o.taken(), o.slowest().Round(time.Millisecond), o.retries.Load(), o.large.Load(), o.refused)
}

// measure has the honest send for a while.
func (h Hoarders) measure(ctx context.Context, inst *instance) (*honest, error) {
	seen := &honest{refused: newTally()}
	end := time.Now().Add(h.Span)
	var all sync.WaitGroup
	for range h.Honest {
		all.Go(func() { h.small(ctx, inst, seen, end) })
	}
	all.Go(func() { h.large(ctx, inst, seen, end) })
	err := inst.pass(ctx, h.Span)
	all.Wait()
	return seen, err
}

// small sends a small mail now and then, each until it is taken.
func (h Hoarders) small(ctx context.Context, inst *instance, seen *honest, end time.Time) {
	for number := int64(0); ctx.Err() == nil && time.Now().Before(end); number++ {
		began := time.Now()
		taken := seen.persist(ctx, inst, number, end.Add(patience))
		seen.mu.Lock()
		seen.took = append(seen.took, time.Since(began))
		seen.mu.Unlock()
		if !taken {
			seen.lost.Add(1)
			return
		}
		time.Sleep(time.Until(began.Add(h.Every)))
	}
}

// persist sends a small mail again and again and reports whether it was taken in the end.
func (o *honest) persist(ctx context.Context, inst *instance, number int64, end time.Time) bool {
	for ctx.Err() == nil {
		mail := smallMail(number)
		mail.Size = int64(len(mail.Content)) // as mail servers declare it
		if deliver(ctx, inst.SMTP, mail) == "250" {
			return true
		}
		o.retries.Add(1)
		if time.Now().After(end) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// large sends one large mail after another.
func (h Hoarders) large(ctx context.Context, inst *instance, seen *honest, end time.Time) {
	mail := smallMail(0)
	mail.Content = append(mail.Content, strings.Repeat(crawlLine, honestLarge/len(crawlLine))...)
	for ctx.Err() == nil && time.Now().Before(end) {
		if code := deliver(ctx, inst.SMTP, mail); code == "250" {
			seen.large.Add(1)
		} else {
			seen.refused.add(code)
		}
		time.Sleep(h.Every)
	}
}

// deliver sends a mail on a connection of its own and returns the code that it ended with,
// or what else ended it.
func deliver(ctx context.Context, address string, mail *client.Mail) string {
	conn, err := client.Dial(ctx, address)
	if err == nil {
		_, err = conn.Send(mail)
		_ = conn.Close() // it has served
	}
	var reply *client.Reply
	switch {
	case err == nil:
		return "250"
	case errors.As(err, &reply):
		return strconv.Itoa(reply.Code)
	}
	return plainError(err)
}

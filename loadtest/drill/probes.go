package drill

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
)

// probes are a few sessions beside the load that take the time of every
// answer, whatever it is. What they are promised is audited as well.
type probes struct {
	all     sync.WaitGroup
	slowest atomic.Int64 // nanoseconds
	answers atomic.Int64
}

const probeCount = 8

// watch starts them; they end when ctx does.
func watch(ctx context.Context, d *drill) *probes {
	w := &probes{}
	for range probeCount {
		w.all.Go(func() {
			for ctx.Err() == nil {
				w.session(ctx, d)
			}
		})
	}
	return w
}

// end waits for their last answers and returns the time of the slowest.
func (w *probes) end() time.Duration {
	w.all.Wait()
	return time.Duration(w.slowest.Load())
}

// session sends small mails until one is not taken.
func (w *probes) session(ctx context.Context, d *drill) {
	mail := &client.Mail{
		From: "witness@example.org", To: []string{"recipient@example.net"}, Content: []byte("Subject: witness\r\n\r\nwhen?\r\n"),
	}
	began := time.Now()
	c, err := client.Dial(ctx, d.plan.Gateway.SMTP)
	w.note(began)
	if err != nil {
		await(ctx, 100*time.Millisecond)
		return
	}
	defer func() { _ = c.Quit() }() // the mail is safe, whatever it says
	for ctx.Err() == nil {
		began = time.Now()
		err := c.Begin(mail)
		w.note(began)
		if err != nil {
			await(ctx, 100*time.Millisecond)
			return
		}
		began = time.Now()
		receipt, err := c.Finish(mail.Content)
		w.note(began)
		if err != nil {
			await(ctx, 100*time.Millisecond)
			return
		}
		d.ledger.Add(receipt)
	}
}

func (w *probes) note(began time.Time) {
	took := int64(time.Since(began))
	w.answers.Add(1)
	for {
		slowest := w.slowest.Load()
		if took <= slowest || w.slowest.CompareAndSwap(slowest, took) {
			return
		}
	}
}

// await waits for a time or the end of ctx.
func await(ctx context.Context, span time.Duration) {
	select {
	case <-time.After(span):
	case <-ctx.Done():
	}
}

package pack

import (
	"errors"
	"time"

	"sluice/internal/panics"
	"sluice/pipeline"
)

// batchWorker fills a pack and stores it, again and again. One goroutine runs it.
type batchWorker struct {
	batcher   *Batcher
	writer    Writer
	pack      *Pack
	fillStart time.Time       // when the pack got its first message
	putTimes  []time.Time     // when each message of the pack was put
	stop      <-chan struct{} // ends the worker; nil for one that stays
}

func (w *batchWorker) run() {
	for w.gather() {
		w.store()
	}
}

// gather fills the pack. Other workers wait meanwhile: two workers that filled at the
// same time would get half a pack each. It returns false once the queue is closed and
// empty, or the worker is to stop.
func (w *batchWorker) gather() bool {
	b := w.batcher
	first, open := b.line.Begin(w.stop)
	if !open {
		return false
	}
	var leftover *Waiting
	defer func() { b.line.End(leftover) }()
	w.fillStart, w.putTimes = b.line.Now(), w.putTimes[:0]
	leftover = w.fill(first)
	b.busy.Add(1)
	b.inFlight.Add(int64(w.pack.Len()))
	return true
}

// fill adds first and what waits. A pack has the deadline of its oldest message. So a
// message that was put much later than first is left over for the next pack, as is one
// whose event is too large for this one.
func (w *batchWorker) fill(first Waiting) (leftover *Waiting) {
	o := &w.batcher.options
	until := func() time.Time { return w.fillStart.Add(w.waitLimit()) }
	for w.add(first); o.HasRoom(w.pack.Len(), w.pack.Footprint()); {
		next, found := w.batcher.line.Next(until)
		if !found {
			return nil
		}
		if next.Since.Sub(first.Since) > o.Timeout/4 ||
			w.pack.Footprint()+Footprint(next.Message) > o.Bytes {
			return &next
		}
		w.add(next)
	}
	return nil
}

// waitLimit returns how long after fillStart the pack may wait for more messages.
func (w *batchWorker) waitLimit() time.Duration {
	b := w.batcher
	if ShouldSend(w.pack.Len(), b.busy.Load(), b.inFlight.Load()) {
		return b.options.Linger
	}
	wait := b.options.MaxWait
	if wait <= 0 {
		wait = b.latency.estimate()
	}
	return max(b.options.Linger, wait)
}

func (w *batchWorker) add(q Waiting) {
	w.batcher.waitingBytes.Add(-q.Message.Length())
	w.pack.Add(q.Message)
	w.putTimes = append(w.putTimes, q.Since)
}

var errWaited = errors.New("waited too long for a lane")

// store stores the pack, delivers its results and wakes the worker that fills the next.
func (w *batchWorker) store() {
	b, n := w.batcher, w.pack.Len()
	began := b.line.Now()
	typical := false
	err := panics.Try(panics.Pack, func() error {
		typical = w.send(n, began)
		return nil
	})
	if typical {
		b.latency.observe(b.line.Now().Sub(began))
	}
	if left := w.pack.Len(); err != nil && left > 0 {
		w.deliver(left, err)
	}
	b.inFlight.Add(-int64(n))
	b.busy.Add(-1)
	b.line.Completed()
}

// send makes the request for the pack of n messages. It reports whether the duration is
// typical of a request. One that was refused, or expired in the queue, takes no time.
func (w *batchWorker) send(n int, now time.Time) (typical bool) {
	o := &w.batcher.options
	for _, since := range w.putTimes {
		o.Observer.PackWaited(now.Sub(since).Seconds())
	}
	o.Observer.PackTaken(n, w.pack.Bytes())
	oldest := w.putTimes[0]
	if now.Sub(oldest) > o.Timeout {
		expired := &pipeline.Failure{Kind: pipeline.KindTimeout, Op: "pack: queue", Err: errWaited}
		w.deliver(n, expired)
		return false
	}
	if n == 1 {
		m := w.pack.Messages()[0]
		w.pack.Clear()
		return w.writer.PutOne(m, oldest)
	}
	split, err := w.putPack(oldest)
	o.Observer.PackDone(pipeline.KindOf(err).String())
	if err == nil || !split {
		w.deliver(n, err)
		return err == nil
	}
	o.Observer.PackSplit(n, err)
	for i, m := range w.pack.Messages() {
		w.writer.Requeue(m, w.putTimes[i])
	}
	w.pack.Clear()
	return false
}

// putPack stores the pack. A panic splits it, so that the message that provokes one fails
// alone.
func (w *batchWorker) putPack(oldest time.Time) (split bool, err error) {
	split = true
	err = panics.Try(panics.Pack, func() (err error) {
		split, err = w.writer.PutPack(w.pack, oldest)
		return err
	})
	return split, err
}

// deliver gives all n messages of the pack the same result.
func (w *batchWorker) deliver(n int, err error) {
	if err == nil {
		w.pack.Stored()
	} else {
		w.pack.Fail(err)
	}
	w.writer.Done(n)
}

package indexer_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/index"
	"sluice/index/indexer"
	"sluice/pipeline"
)

var seeds = flag.Int("faults.seeds", 5, "the number of worlds of TestFaults")

// TestFaults runs indexers in worlds in which everything fails now and then, and which are
// killed now and then. In the end each good message has one row, each bad record is among
// the dead letters, and all is committed.
func TestFaults(t *testing.T) {
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, w *world) { faults(t, w, uint64(seed)) })
		})
	}
}

// chance is a source of faults for several goroutines.
type chance struct {
	mu     sync.Mutex
	random *rand.Rand
	over   bool
}

func (c *chance) of(percent int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.over && c.random.IntN(100) < percent
}

func (c *chance) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

var errFault = errors.New("a fault of the test")

func faults(t *testing.T, w *world, seed uint64) {
	w.random = rand.New(rand.NewPCG(seed, 7))
	c := &chance{random: rand.New(rand.NewPCG(seed, 8))}
	down := func() error {
		if c.of(10) {
			time.Sleep(time.Duration(c.below(3000)) * time.Millisecond)
			return errFault
		}
		return nil
	}
	refused := map[pipeline.ID]bool{}
	w.poll, w.commit = down, down
	w.put = func(context.Context) error { return down() }
	w.insert = func(rows []*index.Message) error {
		for _, r := range rows {
			var bad bool
			if w.note(func() { bad = refused[r.ID] }); bad {
				return fmt.Errorf("%w: bad row", index.ErrRefused)
			}
		}
		return down()
	}
	w.after = down // the rows are there, but nobody knows
	w.open = func(ctx context.Context, _ string, body io.Reader) (io.ReadCloser, error) {
		if body != nil {
			body = &faulty{ctx: ctx, from: body, chance: c}
		}
		switch {
		case c.of(5):
			return nil, errFault
		case c.of(1):
			<-ctx.Done()
			return nil, ctx.Err()
		case c.of(2):
			return serve(nil)
		}
		return serve(body)
	}
	good, bad := w.mixture(refused)
	for range 5 + c.below(5) {
		m := w.join()
		stop := w.start(func(o *indexer.Options) { o.Source, o.Batch, o.Workers = m, 1+c.below(100), 1+c.below(4) })
		for range c.below(4) {
			time.Sleep(time.Duration(c.below(10_000)) * time.Millisecond)
			m.regain()
		}
		more, others := w.mixture(refused)
		good, bad = append(good, more...), append(bad, others...)
		stop()
	}
	c.over = true
	witness := w.lone(text(1)) // the newest of each partition may be a bad one
	w.publish(witness)
	good = append(good, witness)
	defer w.start()()
	w.awaitEnd(time.Hour)
	w.checkRows(good...)
	lettered := map[string]int{}
	for _, l := range w.letters {
		lettered[string(l.record.Value)]++
	}
	for _, value := range bad {
		if lettered[value] == 0 {
			t.Errorf("a bad record is not among the dead letters: %s", value)
		}
		delete(lettered, value)
	}
	for value := range lettered {
		t.Errorf("a good record is among the dead letters: %s", value)
	}
}

// mixture publishes good messages and bad records, and returns both.
func (w *world) mixture(refused map[pipeline.ID]bool) (good []mail, bad []string) {
	var mails []mail
	for range 1 + w.random.IntN(8) {
		all := texts(1 + w.random.IntN(30))
		if w.random.IntN(3) == 0 {
			mails = append(mails, w.lone(all[0]))
			continue
		}
		mails = append(mails, w.pack(w.random.IntN(1000), all...)...)
	}
	w.random.Shuffle(len(mails), func(i, j int) { mails[i], mails[j] = mails[j], mails[i] })
	for _, m := range mails {
		switch w.random.IntN(40) {
		case 0:
			m = w.lone([]byte("gone"))
			w.remove(m)
		case 1:
			m = w.describe(m.id, pipeline.Blob{Key: m.blob.Key, Offset: m.blob.Offset}, []byte("lie"))
		case 2:
			w.note(func() { refused[m.id] = true })
		case 3:
			m.event = m.event[:len(m.event)-1-w.random.IntN(5)]
		default:
			good = append(good, m)
			w.publish(m)
			if w.random.IntN(10) == 0 {
				w.publish(m)
			}
			continue
		}
		bad = append(bad, string(m.event))
		w.publish(m)
	}
	slices.Sort(bad)
	return good, slices.Compact(bad)
}

// faulty is a body whose reads fail now and then, or are of other octets.
type faulty struct {
	ctx    context.Context
	from   io.Reader
	chance *chance
}

func (f *faulty) Read(b []byte) (int, error) {
	switch {
	case f.chance.of(3):
		return 0, errFault
	case f.chance.of(1):
		<-f.ctx.Done()
		return 0, f.ctx.Err()
	case f.chance.of(1):
		return 0, io.EOF
	}
	n, err := f.from.Read(b[:min(len(b), 1+f.chance.below(4000))])
	if n > 0 && f.chance.of(1) {
		b[n/2] ^= 1
	}
	return n, err
}

package stress

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/process"
)

// LongEnvelopes are sessions that each send messages of one byte to a thousand recipients,
// all at the same moment: their events are 250,000 times as large.
type LongEnvelopes struct {
	Sessions, Messages int           // messages of each session
	Pack               int           // store.pack.max_bytes in KiB
	Heap               float64       // MiB that the heap may have grown by after Rest
	Rest               time.Duration // until the collector has run; 0 does not look at the heap
}

// Name of the scenario.
func (e LongEnvelopes) Name() string {
	return fmt.Sprintf("%d sessions that send %d messages of a byte to 1,000 recipients of 250 bytes, packs of %d KiB", e.Sessions, e.Messages, e.Pack)
}

const (
	longRecipients = 1000
	// packEnd is what may end a pack beyond its size: the header of its last entry and the
	// blocks behind it, in KiB.
	packEnd    = 2
	metricHeap = "go_memstats_heap_alloc_bytes"
)

// Run sends the messages and looks at the objects and at what stays.
func (e LongEnvelopes) Run(ctx context.Context, env *Env) (*Row, error) {
	inst, err := env.open(ctx, "long-envelopes", process.Embedded, fmt.Sprintf(
		"store: {pack: {max_bytes: %dKiB, message_limit: %dKiB}}\nmemory: {bodies: 384MiB}\nlog: {level: error}\n", e.Pack, e.Pack/8))
	if err != nil {
		return nil, err
	}
	defer inst.close()
	before, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	answers := newTally()
	var all sync.WaitGroup
	for range e.Sessions {
		all.Go(func() {
			if err := e.send(ctx, inst, answers); err != nil {
				answers.add(err.Error())
			}
		})
	}
	all.Wait()
	largest, packs, err := largestPack(inst.StoreDir())
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: e.Name()}
	row.all("each is accepted, or told 452", answers.of("250")+answers.of("452"), e.Sessions*e.Messages)
	row.atLeast("packs", float64(packs), 1)
	row.atMost("KiB of the largest pack", float64(largest)/kib, float64(e.Pack+packEnd))
	if e.Rest > 0 {
		most := before.metrics[metricHeap] + e.Heap*mib
		after, err := inst.await(ctx, e.Rest, func(now sample) bool { return now.metrics[metricHeap] <= most })
		if err != nil {
			return nil, err
		}
		row.atMost("MiB of heap more than before", (after.metrics[metricHeap]-before.metrics[metricHeap])/mib, e.Heap)
	}
	row.note("%s in %d packs", answers, packs)
	return row, nil
}

// send sends the messages of one session and tells the answers apart by their codes.
func (e LongEnvelopes) send(ctx context.Context, inst *instance, answers *tally) error {
	p, err := dial(ctx, inst.SMTP, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.greet(); err != nil {
		return err
	}
	recipient := "RCPT TO:<" + strings.Repeat("r", 64) + "@" + strings.Repeat("d.", 87) + "example.net>\r\n"
	for range e.Messages {
		if err := p.ask("MAIL FROM:<sender@example.org>\r\n", "250"); err != nil {
			return err
		}
		if err := p.say(strings.Repeat(recipient, longRecipients) + "DATA\r\n"); err != nil {
			return err
		}
		reply := ""
		for range longRecipients + 1 {
			if reply, err = p.reply(patience); err != nil {
				return err
			}
		}
		if strings.HasPrefix(reply, "354") {
			if err := p.say("x\r\n.\r\n"); err != nil {
				return err
			}
			if reply, err = p.reply(patience); err != nil {
				return err
			}
		}
		answers.add(reply[:min(3, len(reply))])
		if err := p.ask("RSET\r\n", "250"); err != nil {
			return err
		}
	}
	return p.ask("QUIT\r\n", "221")
}

// largestPack returns the size of the largest pack below a folder, and how many there are.
func largestPack(root string) (largest int64, packs int, err error) {
	err = filepath.WalkDir(root, func(path string, file fs.DirEntry, err error) error {
		if err != nil || file.IsDir() || filepath.Ext(path) != ".tar" {
			return err
		}
		info, err := file.Info()
		if err != nil {
			return err
		}
		packs++
		largest = max(largest, info.Size())
		return nil
	})
	return largest, packs, err
}

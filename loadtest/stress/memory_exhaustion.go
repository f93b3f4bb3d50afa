package stress

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// MemoryExhaustion are senders of large mails, all at once, while the store takes little.
type MemoryExhaustion struct {
	Senders int
	Size    int           // of each mail, in bytes
	Budget  int64         // memory.bodies, in bytes
	Rate    int64         // bytes a second that the store takes
	Credit  time.Duration // timeouts.credit
	TLS     bool
}

// Name of the scenario.
func (g MemoryExhaustion) Name() string {
	over := ""
	if g.TLS {
		over = " over TLS"
	}
	return fmt.Sprintf("%d senders%s of %d MiB each, store throttled to %d MB/s, budget %.0f MiB", g.Senders, over, g.Size/mib, g.Rate/1e6, inMiB(g.Budget))
}

const (
	// goroutinesMore is what 32 uploads need, a worker each and a connection's two,
	// and it is far from a goroutine for each sender.
	goroutinesMore = 200
	// sendPatience is longer than everything that the gateway may wait for.
	sendPatience = 10 * time.Minute
)

// Run lets them all send once.
func (g MemoryExhaustion) Run(ctx context.Context, env *Env) (*Row, error) {
	folder := filepath.Join(env.Scratch, "memory-exhaustion")
	fleet, err := drill.StartFleet(folder)
	if err != nil {
		return nil, err
	}
	defer fleet.Kill()
	slow, err := throttle(fleet.Store.Endpoint, g.Rate)
	if err != nil {
		return nil, err
	}
	defer slow.Stop()
	gateway, err := process.NewSluice(env.Binary, filepath.Join(folder, "gateway"), process.Fleet)
	if err != nil {
		return nil, err
	}
	fleet.Use(gateway)
	gateway.S3.Endpoint = slow.Listen
	gateway.Config = fmt.Sprintf("memory: {bodies: %d}\nlimits: {connections: %d}\ntimeouts: {credit: %v}\nlog: {level: error}\n", g.Budget, g.Senders+1, g.Credit)
	resident := inMiB(g.Budget) + residentAbove
	if g.TLS {
		resident += inMiB(tlsMemory(g.Senders + 1))
		if err := offerTLS(ctx, gateway); err != nil {
			return nil, err
		}
	}
	inst, err := start(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer inst.close()
	before, err := inst.look(ctx)
	if err != nil {
		return nil, err
	}
	seen := inst.watch(ctx)
	began := time.Now()
	receipts, ends := g.send(ctx, inst)
	took := time.Since(began)
	after, settled := inst.settle(ctx)
	if err := seen.stop(); err != nil {
		return nil, err
	}
	if settled != nil {
		return nil, settled
	}
	gateway.S3.Endpoint = fleet.Store.Endpoint
	found, err := drill.Audit(ctx, gateway, receipts)
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: g.Name()}
	row.atMost("MiB resident at all times", inMiB(seen.resident), resident)
	row.atMost("MiB of bodies", seen.metrics[metricBodies]/mib, inMiB(g.Budget))
	row.all("each delivered, or 452 or 421 by rule", len(receipts)+ends.of("452")+ends.of("421"), g.Senders)
	row.atLeast("delivered", float64(len(receipts)), 1)
	row.all("delivered byte-equal", len(receipts)-len(found.Lost)-len(found.Altered), len(receipts))
	row.atMost("more goroutines", seen.metrics[metricGoroutines]-before.metrics[metricGoroutines], goroutinesMore)
	row.atMost("bytes of bodies afterwards", after.metrics[metricBodies], 0)
	row.note("in %.0f s: %s; %.1f MB/s delivered; %.0f paused at once", took.Seconds(), ends,
		float64(len(receipts)*g.Size)/1e6/took.Seconds(), seen.metrics[metricPaused])
	row.note("resident %.1f MiB before; heap in use at most %.1f, obtained %.1f; %.0f s of CPU time, %.0f collections", inMiB(before.resident),
		seen.metrics["go_memstats_heap_inuse_bytes"]/mib, seen.metrics["go_memstats_heap_sys_bytes"]/mib,
		after.metrics["process_cpu_seconds_total"]-before.metrics["process_cpu_seconds_total"], after.metrics["go_gc_duration_seconds_count"])
	return row, nil
}

// send opens all sessions and then has each send its mail, once.
func (g MemoryExhaustion) send(ctx context.Context, inst *instance) ([]client.Receipt, *tally) {
	const line = "all that is sent must be kept, or be refused in time\r\n"
	text := []byte(strings.Repeat(line, g.Size/len(line)))
	ends := newTally()
	ledger := client.NewLedger(nil)
	var all, open sync.WaitGroup
	open.Add(g.Senders)
	for i := range g.Senders {
		all.Go(func() {
			p, err := inst.greeted(ctx)
			open.Done()
			if err != nil {
				ends.add(plainError(err))
				return
			}
			defer p.Close()
			open.Wait()
			ends.add(g.mail(p, i, text, ledger))
		})
	}
	all.Wait()
	receipts, _ := ledger.Receipts() // nothing is written out
	return receipts, ends
}

// mail sends one mail and returns the code that ended it, or what else did.
func (g MemoryExhaustion) mail(p *peer, number int, text []byte, ledger *client.Ledger) string {
	header := fmt.Sprintf("Subject: %d\r\n\r\n", number)
	parameters := ""
	if number%2 == 0 {
		parameters = fmt.Sprintf(" SIZE=%d", len(header)+len(text))
	}
	for _, step := range []struct{ send, want string }{
		{"MAIL FROM:<sender@example.org>" + parameters + "\r\n", "250"}, {"RCPT TO:<recipient@example.net>\r\n", "250"}, {"DATA\r\n", "354"},
	} {
		if err := p.say(step.send); err != nil {
			return plainError(err)
		}
		if code := g.code(p); code != step.want {
			return code
		}
	}
	if err := p.SetWriteDeadline(time.Now().Add(sendPatience)); err != nil {
		return plainError(err)
	}
	for _, octets := range [][]byte{[]byte(header), text, []byte(".\r\n")} {
		if _, err := p.Write(octets); err != nil {
			return g.code(p) // it may have said why
		}
	}
	reply, err := p.reply(sendPatience)
	if err != nil {
		return plainError(err)
	}
	id, found := strings.CutPrefix(reply, "250 2.0.0 Ok ")
	if !found {
		return reply[:min(3, len(reply))]
	}
	digest := sha256.New()
	digest.Write([]byte(header))
	digest.Write(text)
	receipt := client.Receipt{ID: id, Size: int64(len(header) + len(text)), At: time.Now()}
	digest.Sum(receipt.SHA256[:0])
	ledger.Add(receipt)
	return "250"
}

// code reads a reply and returns its code, or what came instead.
func (g MemoryExhaustion) code(p *peer) string {
	reply, err := p.reply(sendPatience)
	if err != nil {
		return plainError(err)
	}
	return reply[:min(3, len(reply))]
}

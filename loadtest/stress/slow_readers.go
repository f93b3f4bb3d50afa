package stress

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/process"
)

// SlowReaders are peers that pipeline commands and never read a reply: one half NOOPs,
// the other half transactions that they reset. Some read after all.
type SlowReaders struct {
	Each    int           // peers of each half
	Readers int           // beside them, of each half
	Stall   time.Duration // timeouts.stall
	Heap    int64         // bytes that the heap may grow for however few peers
}

// Name of the scenario.
func (m SlowReaders) Name() string {
	return fmt.Sprintf("%d peers that pipeline NOOP and %d MAIL/RCPT/RSET, and never read", m.Each, m.Each)
}

const (
	// slowReaderMemory is promised for each peer, in KiB.
	slowReaderMemory = 64
	// stallLate is what the wheel and the machine may add to the stall timeout.
	stallLate = 5 * time.Second
	// slowWindow is a peer's receive buffer: as little as there can be.
	slowWindow = 4 << 10
	// readerCommands is what a reader pipelines: more than kernels buffer.
	readerCommands = 30_000
)

// turns are what each half repeats, and the replies to it.
var turns = []struct {
	commands string
	replies  []string
}{
	{"NOOP\r\n", []string{"250 2.0.0"}},
	{"MAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.net>\r\nRSET\r\n", []string{"250 2.1.0", "250 2.1.5", "250 2.0.0"}},
}

// Run lets them write until nothing goes any more, and waits for their end.
func (m SlowReaders) Run(ctx context.Context, env *Env) (*Row, error) {
	inst, err := env.open(ctx, "slow-readers", process.Discard, fmt.Sprintf(
		"limits: {junk_commands: 32767}\ntimeouts: {stall: %v}\nlog: {level: error}\n", m.Stall))
	if err != nil {
		return nil, err
	}
	defer inst.close()
	// What the first sessions make and keep is not the peers'.
	if failures := m.read(ctx, inst, 1); failures.total() > 0 {
		return nil, fmt.Errorf("before the peers came: %s", failures)
	}
	before, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	seen := inst.watch(ctx)
	ends, late := m.write(ctx, inst)
	after, err := inst.settle(ctx)
	if err := seen.stop(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: m.Name()}
	row.atMost("KiB resident growth for each", float64(seen.resident-before.resident)/float64(2*m.Each)/kib, slowReaderMemory+float64(m.Heap)/float64(2*m.Each)/kib)
	row.all("each closed", ends.of(wasClosed), 2*m.Each)
	row.atMost("s from its last write to its end", late.Seconds(), (m.Stall + stallLate).Seconds())
	row.atMost("sessions left", after.metrics[metricSessions], 0)
	failures := m.read(ctx, inst, m.Readers)
	readers := m.Readers * len(turns)
	row.all("a peer that reads after all gets every reply in order", readers-failures.total(), readers)
	row.note("resident %.1f MiB before, %.1f at most; ends: %s", inMiB(before.resident), inMiB(seen.resident), ends)
	if failures.total() > 0 {
		row.note("readers: %s", failures)
	}
	return row, nil
}

const wasClosed = "closed"

// write runs the peers that never read and says how they ended, and how long the
// slowest lived after its last write.
func (m SlowReaders) write(ctx context.Context, inst *instance) (*tally, time.Duration) {
	ends := newTally()
	var mu sync.Mutex
	var slowest time.Duration
	var all sync.WaitGroup
	for i := range 2 * m.Each {
		all.Go(func() {
			how, after := m.neverRead(ctx, inst, turns[i%len(turns)].commands)
			ends.add(how)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, after)
		})
	}
	all.Wait()
	return ends, slowest
}

// neverRead writes until the connection ends. How long that took is told from the last
// bytes that the kernel took.
func (m SlowReaders) neverRead(ctx context.Context, inst *instance, commands string) (string, time.Duration) {
	p, err := dial(ctx, inst.SMTP, slowWindow)
	if err != nil {
		return plainError(err), 0
	}
	defer p.Close()
	load := []byte("EHLO slow.example.org\r\n" + strings.Repeat(commands, 2048/len(commands)))
	last := time.Now()
	for rest := load; ctx.Err() == nil; {
		if err := p.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return plainError(err), time.Since(last)
		}
		n, err := p.Write(rest)
		if n > 0 {
			last = time.Now()
		}
		if rest = rest[n:]; len(rest) == 0 {
			rest = load[len("EHLO slow.example.org\r\n"):]
		}
		switch {
		case err == nil:
		case !isTimeout(err):
			return wasClosed, time.Since(last)
		case time.Since(last) > m.Stall+patience:
			return "still open", time.Since(last)
		}
	}
	return "ended", time.Since(last)
}

// read runs peers that read only when nothing can be written any more, and returns
// what went wrong.
func (m SlowReaders) read(ctx context.Context, inst *instance, each int) *tally {
	failures := newTally()
	var all sync.WaitGroup
	for i := range each * len(turns) {
		all.Go(func() {
			turn := turns[i%len(turns)]
			if err := m.reader(ctx, inst, turn.commands, turn.replies); err != nil {
				failures.add(err.Error())
			}
		})
	}
	all.Wait()
	return failures
}

func (m SlowReaders) reader(ctx context.Context, inst *instance, commands string, replies []string) error {
	p, err := dial(ctx, inst.SMTP, slowWindow)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.greet(); err != nil {
		return err
	}
	rounds := readerCommands / len(replies)
	written := make(chan error, 1)
	go func() { written <- p.say(strings.Repeat(commands, rounds) + "QUIT\r\n") }()
	// Well below the stall timeout, and long enough that nothing moves.
	if err := inst.pass(ctx, m.Stall/2); err != nil {
		return err
	}
	for i := range rounds * len(replies) {
		reply, err := p.reply(patience)
		if err != nil {
			return fmt.Errorf("reply %d of %d: %w", i, rounds*len(replies), err)
		}
		if want := replies[i%len(replies)]; !strings.HasPrefix(reply, want) {
			return fmt.Errorf("reply %d is %q, want %s", i, reply, want)
		}
	}
	if err := p.ask("", "221"); err != nil {
		return err
	}
	return <-written
}

package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/process"
)

// ConnectionChurn are connections of which half end by a reset at a random moment.
type ConnectionChurn struct {
	Connections int // in all
	AtOnce      int
}

// Name of the scenario.
func (v ConnectionChurn) Name() string {
	return fmt.Sprintf("%d connections, half of them reset at random phases", v.Connections)
}

// Run opens and ends the connections and compares the process before and after.
func (v ConnectionChurn) Run(ctx context.Context, env *Env) (*Row, error) {
	inst, err := env.open(ctx, "connection-churn", process.Embedded, "log: {level: error}\n")
	if err != nil {
		return nil, err
	}
	defer inst.close()
	// What the first messages make and keep (pools, files, threads) is no leak.
	if _, err := v.rush(ctx, inst, max(2000, v.Connections/20)); err != nil {
		return nil, err
	}
	before, err := v.quiet(ctx, inst, sample{})
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ends, err := v.rush(ctx, inst, v.Connections)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := v.quiet(ctx, inst, before)
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: v.Name()}
	for _, name := range []string{metricSessions, metricPaused, metricBodies, metricWaiters} {
		row.atMost(name, after.metrics[name], 0)
	}
	row.atMost("more goroutines than before", after.metrics[metricGoroutines]-before.metrics[metricGoroutines], 0)
	row.atMost("more descriptors than before", float64(after.descriptors-before.descriptors), 0)
	row.atMost("sessions not answered as they should", float64(v.Connections-ends.of(wasReset)-ends.of(wasServed)-ends.of(wasShed)), 0)
	row.note("resident %.1f MiB before, %.1f after; %.0f connections/s; %s", inMiB(before.resident), inMiB(after.resident),
		float64(v.Connections)/took.Seconds(), ends)
	return row, nil
}

// quiet waits until nothing is left of the sessions, or for what there was before.
func (v ConnectionChurn) quiet(ctx context.Context, inst *instance, before sample) (sample, error) {
	return inst.await(ctx, 20*time.Second, func(now sample) bool {
		m := now.metrics
		return m[metricSessions]+m[metricBodies]+m[metricPaused] == 0 && (before.metrics == nil ||
			m[metricGoroutines] <= before.metrics[metricGoroutines] && now.descriptors <= before.descriptors)
	})
}

const (
	wasReset  = "reset"
	wasServed = "served"
	wasShed   = "Busy, try again later" // the disk is slow, and the gate says so
)

// rush opens so many connections, and says how they ended.
func (v ConnectionChurn) rush(ctx context.Context, inst *instance, count int) (*tally, error) {
	ends := newTally()
	var all sync.WaitGroup
	var next atomic.Int64
	for range v.AtOnce {
		all.Go(func() {
			for i := next.Add(1); i <= int64(count) && ctx.Err() == nil; i = next.Add(1) {
				ends.add(v.visits(i)(ctx, inst))
			}
		})
	}
	all.Wait()
	return ends, ctx.Err()
}

// bulk is more than a session may leave unread, so that those who send it behind
// an unanswered dot are paused.
var bulk = strings.Repeat("NOOP\r\n", 4000)

// steps of a session; each is sent when the reply to the one before has come.
var steps = []struct{ send, want string }{
	{"", "220"},
	{"EHLO client.example.org\r\n", "250"},
	{"MAIL FROM:<sender@example.org>\r\n", "250"},
	{"RCPT TO:<recipient@example.net>\r\n", "250"},
	{"DATA\r\n", "354"},
	{"Subject: gone\r\n\r\n" + strings.Repeat("some text\r\n", 30) + ".\r\n", "250"},
	{"QUIT\r\n", "221"},
}

// visits alternate.
func (v ConnectionChurn) visits(number int64) func(context.Context, *instance) string {
	if number%2 == 0 {
		return v.resetMidway
	}
	return v.visit
}

// visit is one session. Few of those that are served send a message, so that the
// disk does not set the pace.
func (v ConnectionChurn) visit(ctx context.Context, inst *instance) string {
	p, err := dial(ctx, inst.SMTP, 0)
	if err != nil {
		return plainError(err)
	}
	defer p.Close()
	mails := rand.IntN(10) == 0
	for i, step := range steps {
		if !mails && i > 1 && i < len(steps)-1 {
			continue
		}
		if err := p.ask(step.send, step.want); err != nil {
			if strings.Contains(err.Error(), wasShed) {
				return wasShed
			}
			return plainError(err)
		}
	}
	return wasServed
}

// resetMidway goes some way, perhaps the next step by half, and resets.
func (v ConnectionChurn) resetMidway(ctx context.Context, inst *instance) string {
	p, err := dial(ctx, inst.SMTP, 0)
	if err != nil {
		return plainError(err)
	}
	defer p.reset()
	last := rand.IntN(len(steps))
	for _, step := range steps[:last] {
		if p.ask(step.send, step.want) != nil {
			return wasReset // all the same
		}
	}
	text := steps[last].send
	switch rand.IntN(4) {
	case 0:
		text = text[:rand.IntN(len(text)+1)]
	case 1:
		text += bulk
	}
	_ = p.say(text) // it goes away whatever came of it
	return wasReset
}

// plainError is an error without what differs each time.
func plainError(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout()
}

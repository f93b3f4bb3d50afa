package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// Slowloris are clients that send a byte every few seconds (slowloris) beside
// senders that do as they should.
type Slowloris struct {
	Slow, Good int
	Span       time.Duration // of one measurement; shorter than Deadline
	Rounds     int
	Every      time.Duration // between two bytes of a slow one
	Deadline   time.Duration // of each phase of a session
	Late       time.Duration // what the wheel, the machine and the client may add to it
}

// Name of the scenario.
func (c Slowloris) Name() string {
	return fmt.Sprintf("%d slowloris and %d good senders", c.Slow, c.Good)
}

// goodPart of their throughput must remain to the good.
const goodPart = 0.9

// Run measures the good senders' throughput in turns with and without slowloris clients.
func (c Slowloris) Run(ctx context.Context, env *Env) (*Row, error) {
	d := c.Deadline
	inst, err := env.open(ctx, "slowloris", process.Embedded, fmt.Sprintf(
		"limits: {min_data_rate: 100}\ntimeouts: {greeting: %v, command: %v, data_start: %v, data_block: %v}\n", d, d, d, d))
	if err != nil {
		return nil, err
	}
	defer inst.close()
	ledger := client.NewLedger(nil)
	senders := client.Senders{
		Address: inst.SMTP, Sessions: c.Good, Ledger: ledger,
		Compose: func(n int64) *client.Mail { return smallMail(n) },
	}
	sending, giveUp := context.WithCancel(ctx)
	closing, finish := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() { senders.Run(sending, closing) })
	defer load.Wait()
	defer giveUp()
	defer finish()

	count := func() (float64, error) {
		before, _ := ledger.Len()
		began := time.Now()
		err := inst.pass(ctx, c.Span)
		after, _ := ledger.Len()
		return float64(after-before) / time.Since(began).Seconds(), err
	}
	var alone, beside float64
	ends := newTally()
	if err := inst.pass(ctx, time.Second); err != nil {
		return nil, err
	}
	for round := range c.Rounds {
		env.say("round %d of %d", round+1, c.Rounds)
		rate, err := count()
		if err != nil {
			return nil, err
		}
		alone += rate / 2
		dripping, err := c.open(ctx, inst, ends)
		if err != nil {
			return nil, err
		}
		rate, err = count()
		if err != nil {
			return nil, err
		}
		beside += rate
		dripping.Wait()
		if rate, err = count(); err != nil {
			return nil, err
		}
		alone += rate / 2
	}
	row := &Row{Scenario: c.Name()}
	part := goodPart
	if c.Span < 5*time.Second {
		part = 0.5 // so short a measurement says little
	}
	row.atLeast("good throughput, of that without them", beside/alone, part)
	row.all("each slow one closed at its deadline with 421 4.4.2", ends.of(closedInTime), c.Slow*c.Rounds)
	row.note("%.0f/s without, %.0f/s with", alone/float64(c.Rounds), beside/float64(c.Rounds))
	if ends.of(closedInTime) != c.Slow*c.Rounds {
		row.note("ends of the slow: %s", ends)
	}
	return row, nil
}

// smallMail is a mail of about 10 KiB.
func smallMail(n int64) *client.Mail {
	return &client.Mail{From: "sender@example.org", To: []string{"recipient@example.net"},
		Content: fmt.Appendf(nil, "Subject: %d\r\n\r\n%s", n, strings.Repeat("all work and no play makes a dull line\r\n", 256))}
}

// slowPhase is the phase in which a slow session stalls, and the text it then sends.
type slowPhase struct{ approach, drip string }

// Approaches.
const (
	approachGreeting = "greeting"
	approachCommand  = "command"
	approachText     = "text"
)

var slowPhases = []slowPhase{
	{approachGreeting, "EHLO slow.example.org"},
	{approachCommand, "MAIL FROM:<sender@example.org>"},
	{approachText, "Subject: one byte at a time, and many more of them"},
}

const closedInTime = "421 4.4.2 in time"

// open opens the slow sessions, a third of them in each phase, and lets them send an
// byte at a time until they are closed.
func (c Slowloris) open(ctx context.Context, inst *instance, ends *tally) (*sync.WaitGroup, error) {
	var slow crowd
	var dripping sync.WaitGroup
	return &dripping, slow.gather(ctx, c.Slow, func(i int) (*peer, error) {
		phase := slowPhases[i%len(slowPhases)]
		p, err := dial(ctx, inst.SMTP, 0)
		if err != nil {
			return nil, err
		}
		if err := approach(p, phase.approach); err != nil {
			return nil, err
		}
		began := time.Now()
		dripping.Go(func() {
			defer p.Close()
			ends.add(c.drip(ctx, p, began, phase))
		})
		return p, nil
	})
}

// approach takes a peer to the phase in which it stalls.
func approach(p *peer, until string) error {
	switch until {
	case approachGreeting:
		return p.ask("", "220")
	case approachText:
		if err := p.greet(); err != nil {
			return err
		}
		for _, step := range [][2]string{
			{"MAIL FROM:<sender@example.org>\r\n", "250"}, {"RCPT TO:<recipient@example.net>\r\n", "250"}, {"DATA\r\n", "354"},
		} {
			if err := p.ask(step[0], step[1]); err != nil {
				return err
			}
		}
		return nil
	}
	return p.greet()
}

// drip sends a byte now and then and says how it ended.
func (c Slowloris) drip(ctx context.Context, p *peer, began time.Time, phase slowPhase) string {
	text := phase.drip
	wait := time.Duration(rand.Int64N(int64(c.Every)))
	for i := 0; ctx.Err() == nil; i++ {
		reply, err := p.reply(wait)
		took := time.Since(began)
		switch {
		case err == nil && strings.HasPrefix(reply, "421 4.4.2"):
			if took < c.Deadline || took > c.Deadline+c.Late {
				return fmt.Sprintf("421 4.4.2 after %v", took.Round(time.Second))
			}
			if _, err := p.line(patience); err == nil {
				return "421 4.4.2 and then more"
			}
			return closedInTime
		case err == nil:
			return reply
		case !isTimeout(err):
			return fmt.Sprintf("%v after %v", err, took.Round(time.Second))
		case took > c.Deadline+patience:
			return "still open"
		}
		if err := p.say(text[i%len(text) : i%len(text)+1]); err != nil {
			return "closed while sending"
		}
		if i == 0 && phase.approach == approachText {
			began = time.Now() // the rate is told from the first mail text on
		}
		wait = c.Every
	}
	return "ended"
}

package stress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Hoarders are senders that hold memory and hardly get on, beside honest ones: messages
// of a large declared size, messages that crawl behind their first part, and long
// envelopes that never come to DATA; messages that wait for more memory than there is,
// long envelopes whose text is refused and drips, text ahead of its 354, and 354 with
// nothing behind it. Each kind comes from one address and comes back when it is cut.
type Hoarders struct {
	Declared  int // messages that declare 50 MiB and crawl from the start
	Parts     int // messages that crawl behind their first part
	Envelopes int // of a thousand recipients
	Growing   int // messages that send all they can, and then wait
	Refused   int // envelopes of a thousand recipients with a bare LF in their text
	Ahead     int // messages whose text comes with DATA
	Empty     int // messages of which nothing comes for two seconds
	Budget    int64
	Honest    int           // senders of small mail, beside one of large mail
	Every     time.Duration // between two small mails of one sender
	Span      time.Duration // of each measurement
	Rotate    time.Duration // after which a message that crawls begins anew
	Credit    time.Duration // timeouts.credit
	Part      float64       // of the rate of small mail that must remain
	Slowest   time.Duration // bound of 99 % of small mails
}

// Name of the scenario.
func (h Hoarders) Name() string {
	return fmt.Sprintf("%d senders of a declared 50 MiB at 600 B/s, %d that crawl behind their first part, %d idle envelopes of 1,000 recipients, "+
		"%d that send until they wait for memory, %d refused texts that drip, %d texts ahead of 354, %d empty ones; budget %.0f MiB",
		h.Declared, h.Parts, h.Envelopes, h.Growing, h.Refused, h.Ahead, h.Empty, inMiB(h.Budget))
}

const (
	// crawlEvery is the time between two lines of 60 bytes: 600 bytes a second.
	crawlEvery = 100 * time.Millisecond
	crawlLine  = "a line of sixty bytes, which is more than the least rate...\r\n"
	// beyondPart is a little more than the first part of an upload.
	beyondPart = 5*mib + 200*kib
	// honestLarge is the size of the large mails: of three parts.
	honestLarge = 12 * mib
	// comeBack is the pause of a hoarder that was cut or refused.
	comeBack = 2 * time.Second
)

// Run measures the honest senders alone and then beside the hoarders.
func (h Hoarders) Run(ctx context.Context, env *Env) (*Row, error) {
	folder := filepath.Join(env.Scratch, "hoarders")
	store, err := stack.StartMinIO(folder)
	if err != nil {
		return nil, err
	}
	defer store.Kill() //nolint:errcheck // it ends with us in any case
	gateway, err := process.NewSluice(env.Binary, filepath.Join(folder, "gateway"), process.Bucket)
	if err != nil {
		return nil, err
	}
	gateway.S3 = process.S3{Endpoint: store.Endpoint, Bucket: "mail", AccessKey: store.AccessKey, SecretKey: store.SecretKey}
	gateway.Config = fmt.Sprintf("memory: {bodies: %d}\ntimeouts: {credit: %v}\nlog: {level: error}\n", h.Budget, h.Credit)
	inst, err := start(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer inst.close()
	alone, err := h.measure(ctx, inst)
	if err != nil {
		return nil, err
	}
	env.say("alone: %v", alone)
	ends, begun := newTally(), newTally()
	hoarding, over := context.WithCancel(ctx)
	gone := h.hoard(hoarding, inst, ends, begun)
	seen := inst.watch(ctx)
	beside, err := h.measure(ctx, inst)
	over()
	gone()
	if err := seen.stop(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	after, err := inst.settle(ctx)
	if err != nil {
		return nil, err
	}
	row := &Row{Scenario: h.Name()}
	row.atLeast("small mail, of the rate without them", beside.taken()/alone.taken(), h.Part)
	row.atMost("small mails that were given up", float64(beside.lost.Load()), 0)
	row.atMost("s for 99 % of small mails", beside.slowest().Seconds(), h.Slowest.Seconds())
	row.atLeast("large mails delivered", float64(beside.large.Load()), 1)
	row.atMost("large mails refused, shed or cut", float64(beside.refused.total()), 0)
	for _, kind := range h.kinds() {
		if kind.count > 0 && kind.name != envelopes {
			row.atLeast("messages begun by the kind "+kind.name, float64(begun.of(kind.name)), 1)
		}
	}
	row.atMost("MiB of bodies", seen.metrics[metricBodies]/mib, inMiB(h.Budget))
	row.atMost("bytes of bodies afterwards", after.metrics[metricBodies], 0)
	row.note("alone %v; beside them %v", alone, beside)
	row.note("hoarders: %s", ends)
	return row, nil
}

// hoarder is a kind of them.
type hoarder struct {
	name  string
	count int
	from  net.IP
	once  func(context.Context, *peer) error
}

// envelopes is the kind that never comes to DATA.
const envelopes = "envelope"

func (h Hoarders) kinds() []hoarder {
	return []hoarder{
		{"declared", h.Declared, net.IPv4(127, 0, 0, 2), func(ctx context.Context, p *peer) error {
			return h.crawl(ctx, p, " SIZE=52428800", 0)
		}},
		{"parts", h.Parts, net.IPv4(127, 0, 0, 3), func(ctx context.Context, p *peer) error {
			return h.crawl(ctx, p, "", beyondPart)
		}},
		{envelopes, h.Envelopes, net.IPv4(127, 0, 0, 4), func(_ context.Context, p *peer) error { return longEnvelope(p, "") }},
		{"growing", h.Growing, net.IPv4(127, 0, 0, 5), h.grow},
		{"refused", h.Refused, net.IPv4(127, 0, 0, 6), h.drip},
		{"ahead", h.Ahead, net.IPv4(127, 0, 0, 7), func(_ context.Context, p *peer) error {
			return p.end(shortEnvelope + strings.Repeat(crawlLine, 32*kib/len(crawlLine)))
		}},
		{"empty", h.Empty, net.IPv4(127, 0, 0, 8), func(_ context.Context, p *peer) error {
			if err := p.start(shortEnvelope, 3); err != nil {
				return err
			}
			time.Sleep(comeBack)
			return p.end("a bare\nline feed\r\n.\r\n")
		}},
	}
}

// hoard starts the hoarders. It counts how they end, and which kinds came to 354. The
// function that it returns waits for their end.
func (h Hoarders) hoard(ctx context.Context, inst *instance, ends, begun *tally) (wait func()) {
	var all sync.WaitGroup
	for _, kind := range h.kinds() {
		for range kind.count {
			all.Go(func() {
				for ctx.Err() == nil {
					text, err := hoardOnce(ctx, inst.SMTP, kind.from, kind.once)
					if text {
						begun.add(kind.name)
					}
					if ctx.Err() == nil {
						ends.add(kind.name + ": " + plainError(err))
					}
					select {
					case <-ctx.Done():
					case <-time.After(comeBack):
					}
				}
			})
		}
	}
	return all.Wait
}

// hoardOnce has one peer do what it does until that ends or ctx does. text reports whether
// it came to 354.
func hoardOnce(
	ctx context.Context, address string, from net.IP, do func(context.Context, *peer) error,
) (text bool, err error) {
	p, err := dialFrom(ctx, address, from, 0)
	if err != nil {
		return false, err
	}
	defer context.AfterFunc(ctx, p.reset)()
	defer p.Close()
	if err := p.greet(); err != nil {
		return false, err
	}
	err = do(ctx, p)
	return p.text, err
}

// crawl begins a message, sends some bytes of it at once, and then 600 bytes a second
// until it begins anew.
func (h Hoarders) crawl(ctx context.Context, p *peer, parameters string, atOnce int) error {
	if err := p.start("MAIL FROM:<sender@example.org>"+parameters+"\r\nRCPT TO:<recipient@example.net>\r\nDATA\r\n", 3); err != nil {
		return err
	}
	if err := p.say("Subject: slow\r\n\r\n"); err != nil {
		return err
	}
	if err := p.say(strings.Repeat(crawlLine, atOnce/len(crawlLine))); err != nil {
		return err
	}
	return h.lines(ctx, p)
}

// lines sends 600 bytes a second until the message begins anew.
func (h Hoarders) lines(ctx context.Context, p *peer) error {
	for began := time.Now(); ctx.Err() == nil && time.Since(began) < h.Rotate; time.Sleep(crawlEvery) {
		if err := p.say(crawlLine); err != nil {
			return err
		}
	}
	return errRotated
}

// grow sends what is taken of 2 MiB, and then waits.
func (h Hoarders) grow(ctx context.Context, p *peer) error {
	if err := p.start(shortEnvelope, 3); err != nil {
		return err
	}
	if err := p.say(strings.Repeat(crawlLine, 2*mib/len(crawlLine))); err != nil && !isTimeout(err) {
		return err
	}
	return h.lines(ctx, p)
}

// drip begins a message of a thousand recipients that is refused, and sends on.
func (h Hoarders) drip(ctx context.Context, p *peer) error {
	if err := longEnvelope(p, "DATA\r\n"); err != nil {
		return err
	}
	if err := p.say("a bare\nline feed\r\n"); err != nil {
		return err
	}
	return h.lines(ctx, p)
}

// errRotated ends a hoarder that was not noticed.
var errRotated = errors.New("crawled to its end")

const shortEnvelope = "MAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.net>\r\nDATA\r\n"

// start sends commands and wants so many replies, none of which refuses anything.
func (p *peer) start(commands string, replies int) error {
	if err := p.say(commands); err != nil {
		return err
	}
	for range replies {
		reply, err := p.reply(patience)
		switch {
		case err != nil:
			return err
		case reply >= "4":
			return errors.New(reply)
		}
	}
	return nil
}

// end sends text and returns what the session ends with, or says next, as an error.
func (p *peer) end(text string) error {
	if err := p.say(text); err != nil {
		return err
	}
	for {
		if reply, err := p.reply(time.Hour); err != nil || reply >= "4" {
			return errors.Join(err, errors.New(reply))
		}
	}
}

// longEnvelope sends a thousand long recipients, and then the next command, or waits.
func longEnvelope(p *peer, next string) error {
	if err := p.ask("MAIL FROM:<sender@example.org>\r\n", "250"); err != nil {
		return err
	}
	const each = 50
	rcpts := strings.Repeat("RCPT TO:<"+strings.Repeat("u", 60)+"@"+strings.Repeat("d.", 90)+"example.net>\r\n", each)
	for range 1000 / each {
		if err := p.start(rcpts, each); err != nil {
			return err
		}
	}
	if next == "" {
		return p.end("")
	}
	return p.start(next, 1)
}

package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/stack"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
)

// Verdicts are those on the mails of a drill whose resolver fails in turn.
type Verdicts struct {
	Faults  []Fault        `json:"faults"`
	Results map[string]int `json:"results"` // messages by check and result, as the events say
	// Counted says where the gateway's counters differ from Results.
	Counted []string `json:"counted_otherwise"`
	Missing int      `json:"missing"` // messages without exactly one event that has a verdict
	// Wrong are messages with another verdict than a healthy resolver allows, which is pass,
	// or a faulty one, which is pass or temperror.
	Wrong    []string `json:"wrong"`
	Messages int      `json:"messages"`
}

// Fault is a time during which the resolver does not do what it should.
type Fault struct {
	What      string  `json:"what"`
	Seconds   float64 `json:"seconds"`
	Messages  int     `json:"messages"`  // that were on their way meanwhile
	TempError int     `json:"temperror"` // of these without a verdict of DMARC

	from, to time.Time
}

// Kinds of fault.
const (
	FaultStopped = "stopped"
	FaultSlow    = "slow"
	FaultKilled  = "killed"
	FaultBroken  = "SERVFAIL"
)

// ok reports whether each message has the verdict that it should have, and whether there
// was something to see.
func (v *Verdicts) ok() bool {
	return v.Missing == 0 && len(v.Wrong) == 0 && len(v.Counted) == 0 &&
		v.Results["dmarc pass"] > 0 && v.Results["dmarc temperror"] > 0
}

// String is the verdicts for people.
func (v *Verdicts) String() string {
	var b strings.Builder
	for _, f := range v.Faults {
		fmt.Fprintf(&b, "resolver %s for %.1f s: %d messages, %d temperror\n", f.What, f.Seconds, f.Messages, f.TempError)
	}
	fmt.Fprintf(&b, "%d verdicts: dmarc=pass %d, dmarc=temperror %d; %d wrong, %d missing, %d counters differ",
		v.Messages, v.Results["dmarc pass"], v.Results["dmarc temperror"], len(v.Wrong), v.Missing, len(v.Counted))
	for _, text := range append(v.Wrong[:min(len(v.Wrong), 10)], v.Counted...) {
		b.WriteString("\nwrong: " + text)
	}
	return b.String()
}

// VerifyTimes are the times of a drill of verification.
type VerifyTimes struct {
	Fault  time.Duration // of each
	Health time.Duration // between two
	Settle time.Duration // that the resolver has to come back
	Faults []string      // in their order; nil is all
}

const (
	// resolverZones has one domain for each message, which all have the same records.
	resolverZones = `  local-zone: many.test. redirect
  local-data: 'many.test. TXT "v=spf1 ip4:127.0.0.0/8 -all"'
  local-data: 'many.test. TXT "v=DMARC1; p=reject"'
  local-zone: example.org. static
  local-data: "client.example.org. A 127.0.0.1"
  local-data: "1.0.0.127.in-addr.arpa. PTR client.example.org."
`
	// resolverBroken has it ask somebody whom it may not ask, and answer SERVFAIL.
	resolverBroken = "  do-not-query-localhost: yes\n"
	// verifyConfig has the gateway verify what its client sends.
	verifyConfig = `dns: {resolvers: [%q], timeout: 2s}
verify: {enabled: true, deadline: 5s}
limits: {messages: 1000000, connections_per_ip: 0}
`
	slowMost = 4 * time.Second        // that it stands still at a time while it is slow
	slowRuns = 100 * time.Millisecond // that it runs in between
)

// StartResolver starts the resolver of Verify in a folder.
func StartResolver(folder string) (*stack.UnboundServer, error) {
	return stack.StartUnbound(folder, resolverZones)
}

// fromStrangers makes each of a composer's mails one of a domain of its own.
func fromStrangers(compose func(int64) *client.Mail) func(int64) *client.Mail {
	return func(number int64) *client.Mail {
		mail := compose(number)
		mail.From = fmt.Sprintf("a@d%d.many.test", number)
		mail.Content = bytes.Replace(mail.Content, []byte("sender@example.org"), []byte(mail.From), 1)
		if mail.Size > 0 {
			mail.Size = int64(len(mail.Content))
		}
		return mail
	}
}

// Verify has the resolver fail in each way in turn, for so many rounds, under load. Each
// message must have exactly one verdict, and temperror only while the resolver fails.
func Verify(ctx context.Context, plan Plan, times VerifyTimes) (*Report, error) {
	plan.Gateway.Trusted = "[192.0.2.1]"
	plan.Gateway.Config += fmt.Sprintf(verifyConfig, plan.Resolver.Address)
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	v := &Verdicts{Results: map[string]int{}}
	if err := errors.Join(d.awaitMore(ctx, 0), d.live(ctx, times.Health)); err != nil {
		return nil, err
	}
	faults := times.Faults
	if faults == nil {
		faults = []string{FaultStopped, FaultSlow, FaultKilled, FaultBroken}
	}
	for range plan.Rounds {
		for _, what := range faults {
			from := time.Now()
			if err := d.fail(ctx, what, times.Fault); err != nil {
				return nil, fmt.Errorf("%s: %w", what, err)
			}
			if err := d.live(ctx, times.Settle); err != nil {
				return nil, err
			}
			f := Fault{What: what, Seconds: time.Since(from).Seconds(), from: from, to: time.Now()}
			v.Faults = append(v.Faults, f)
			fmt.Fprintf(plan.Progress, "resolver %s for %.1f s\n", what, f.Seconds)
			if err := d.live(ctx, times.Health); err != nil {
				return nil, err
			}
		}
	}
	d.finish()
	select {
	case <-d.ended:
	case <-time.After(lastWords):
		return nil, fmt.Errorf("the senders got no answer within %v:\n%s", lastWords, d.gateway.Output())
	}
	if err := d.judge(ctx, v); err != nil {
		return nil, err
	}
	d.report.Verdicts = v
	return d.end(ctx)
}

// fail has the resolver fail for a time, and then serve again.
func (d *drill) fail(ctx context.Context, what string, span time.Duration) error {
	r := d.plan.Resolver
	switch what {
	case FaultStopped:
		return errors.Join(r.Pause(), d.live(ctx, span), r.Resume())
	case FaultKilled:
		return errors.Join(r.Kill(), d.live(ctx, span), r.Restart())
	case FaultBroken:
		return errors.Join(r.Configure(resolverBroken), r.Restart(), d.live(ctx, span), r.Configure(resolverZones), r.Restart())
	}
	for end := time.Now().Add(span); time.Now().Before(end); {
		still := min(time.Duration(d.random.Int64N(int64(slowMost))), time.Until(end))
		if err := errors.Join(r.Pause(), d.live(ctx, still), r.Resume(), d.live(ctx, slowRuns)); err != nil {
			return err
		}
	}
	return nil
}

// judge compares the verdicts in the events with when their messages were sent, and with
// what the gateway has counted.
func (d *drill) judge(ctx context.Context, v *Verdicts) error {
	receipts, err := d.ledger.Receipts()
	if err != nil {
		return err
	}
	events, twice, err := d.events(ctx)
	if err != nil {
		return err
	}
	v.Messages, v.Missing = len(events), twice
	for _, r := range receipts {
		e := events[r.ID]
		if e == nil || e.Verdicts == nil || e.Verdicts.Skipped != "" {
			v.Missing++
			continue
		}
		got := e.Verdicts
		inFault := false
		for i := range v.Faults {
			if f := &v.Faults[i]; r.Begun.Before(f.to) && r.At.After(f.from) {
				inFault = true
				f.Messages++
				if got.DMARC.Result == "temperror" {
					f.TempError++
				}
			}
		}
		for check, result := range map[string]string{"spf": got.SPF.Result, "dmarc": got.DMARC.Result, "iprev": got.IPRev.Result} {
			if result != "pass" && (!inFault || result != "temperror") {
				v.Wrong = append(v.Wrong, fmt.Sprintf("%s from %s to %s: %s=%s", r.ID, r.Begun, r.At, check, result))
			}
		}
	}
	for _, e := range events {
		if e.Verdicts != nil {
			v.Results["spf "+e.Verdicts.SPF.Result]++
			v.Results["dmarc "+e.Verdicts.DMARC.Result]++
			v.Results["iprev "+e.Verdicts.IPRev.Result]++
		}
	}
	return d.compareCounters(ctx, v)
}

// events returns the events of the topic by id, and how many messages have another one.
func (d *drill) events(ctx context.Context) (events map[string]*pipeline.Event, twice int, err error) {
	events = map[string]*pipeline.Event{}
	log := kafka.NewReader(kafka.Options{Brokers: strings.Split(d.plan.Gateway.Events, ","), Topic: d.plan.Gateway.Topic})
	err = log.Read(ctx, func(_, value []byte, _ []pipeline.EventHeader) error {
		e, err := pipeline.ParseEvent(value)
		if err != nil {
			return err
		}
		id := e.ID.String()
		if events[id] != nil {
			twice++
		}
		events[id] = e
		return nil
	})
	return events, twice, err
}

// compareCounters notes each counter of results that is not what the events say.
func (d *drill) compareCounters(ctx context.Context, v *Verdicts) error {
	page, err := d.page(ctx)
	if err != nil {
		return err
	}
	counted := map[string]int{}
	for line := range strings.Lines(page) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var check, result string
		if _, err := fmt.Sscanf(sample, "sluice_verify_results_total{check=%q,result=%q}", &check, &result); err != nil || check == "dkim" {
			continue
		}
		if counted[check+" "+result], err = strconv.Atoi(value); err != nil {
			return err
		}
	}
	for name, n := range counted {
		if n != v.Results[name] {
			v.Counted = append(v.Counted, fmt.Sprintf("%s is counted %d times and stands in %d events", name, n, v.Results[name]))
		}
	}
	if len(counted) == 0 {
		v.Counted = append(v.Counted, "nothing is counted")
	}
	return nil
}

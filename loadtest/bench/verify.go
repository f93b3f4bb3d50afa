package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Verify is Sluice that verifies mail, beside Sluice that does not.
const Verify = "verify"

// VerifyLoad is what clients send, all of it signed.
type VerifyLoad struct {
	Small Load `json:"small"` // as fast as it goes
	Large int  `json:"large"` // messages in one measurement
	Size  int  `json:"size"`  // bytes of each
	Timed int  `json:"timed"` // small messages whose answers are timed, at a pace
}

// VerifyPlan is one run of it.
type VerifyPlan struct {
	Load     VerifyLoad
	Rounds   int
	Sluice   string
	Scratch  string
	Profile  bool      // of the one that verifies, in the last round
	Progress io.Writer // a line for each measurement
}

const (
	largeAtOnce   = 4
	timedSessions = 10
	timedEvery    = 5 * time.Millisecond
)

// What is measured is of these. cold is asked only for times.
const (
	verifyOff  = "off"
	verifyOn   = "on"
	verifyCold = "on, cold cache" // no answer of the DNS may be kept
)

type verifyRun struct {
	*VerifyPlan
	report       *VerifyReport
	small, large []string // signed mails, one of each domain
	file         string   // that of the first domain, for smtp-source
	dns          map[string]string
}

// RunVerify measures in turn, each round beginning with another.
func RunVerify(ctx context.Context, plan VerifyPlan) (*VerifyReport, error) {
	run := &verifyRun{
		VerifyPlan: &plan, report: &VerifyReport{Load: plan.Load},
		file: filepath.Join(plan.Scratch, "mail.eml"), dns: map[string]string{},
	}
	signer, err := newSigner()
	if err != nil {
		return nil, err
	}
	for domain := range timedSessions {
		run.small = append(run.small, signer.sign(domainOf(domain), plan.Load.Small.Size))
		run.large = append(run.large, signer.sign(domainOf(domain), plan.Load.Size))
	}
	if err := os.WriteFile(run.file, withoutCR(run.small[0]), 0o644); err != nil {
		return nil, err
	}
	for _, c := range []struct {
		name string
		ttl  int
	}{{verifyOn, 3600}, {verifyCold, 0}} {
		dir := filepath.Join(plan.Scratch, "dns-"+strconv.Itoa(c.ttl))
		resolver, err := stack.StartUnbound(dir, signer.zones(c.ttl))
		if err != nil {
			return nil, err
		}
		defer func() { _ = resolver.Kill() }() // it ends with us in any case
		run.dns[c.name] = resolver.Address
	}
	names := []string{verifyOff, verifyOn, verifyCold}
	for round := range plan.Rounds {
		for turn := range names {
			name := names[(round+turn)%len(names)]
			if err := run.turn(ctx, name, round == plan.Rounds-1); err != nil {
				return nil, fmt.Errorf("verification %s: %w", name, err)
			}
		}
	}
	return run.report, nil
}

// turn measures one of them in a fresh process.
func (run *verifyRun) turn(ctx context.Context, name string, last bool) error {
	gateway, err := process.NewSluice(run.Sluice, filepath.Join(run.Scratch, Verify), process.Discard)
	if err != nil {
		return err
	}
	gateway.Trusted = "[192.0.2.1]" // the mail of others is verified
	gateway.Config = "limits: {messages: 1000000}\nlog: {format: json, messages: off}\n"
	if resolver := run.dns[name]; resolver != "" {
		gateway.Config += fmt.Sprintf("dns: {resolvers: [%q]}\nverify: {enabled: true}\n", resolver)
	}
	starting, cancel := context.WithTimeout(ctx, startPatience)
	p, err := gateway.Start(starting)
	cancel()
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := run.time(ctx, gateway.SMTP, name); err != nil {
		return err
	}
	if name != verifyCold {
		if err := run.work(ctx, &verifyGateway{p, gateway.SMTP, name}, last); err != nil {
			return err
		}
	}
	return passed(ctx, gateway.Admin, name)
}

// time measures how long the answer to the final dot takes.
func (run *verifyRun) time(ctx context.Context, address, name string) error {
	next := make(chan int, timedSessions)
	load := timedLoad{sessions: timedSessions, size: always(1 << 10), pace: timedEvery}
	var times Latency
	for _, load.messages = range []int{run.Load.Timed/10 + timedSessions, run.Load.Timed} {
		for domain := range timedSessions {
			next <- domain
		}
		var err error
		times, err = load.send(ctx, func(ctx context.Context) (deliverer, error) {
			return run.open(ctx, address, run.small, <-next)
		})
		if err != nil {
			return err
		}
	}
	run.add(verifyP50, name, times.P50)
	run.add(verifyP99, name, times.P99)
	return nil
}

// open opens a session that sends the mail of a domain.
func (run *verifyRun) open(ctx context.Context, address string, mails []string, domain int) (*signedSession, error) {
	conn, err := client.Dial(ctx, address)
	return &signedSession{smtpSession{conn: conn, from: "sender@" + domainOf(domain)}, mails[domain]}, err
}

// signedSession delivers the same mail again and again.
type signedSession struct {
	smtpSession
	mail string
}

func (s *signedSession) deliver(ctx context.Context, _ string) (time.Duration, error) {
	return s.smtpSession.deliver(ctx, s.mail)
}

// verifyGateway is one that runs.
type verifyGateway struct {
	process       *process.Process
	address, name string
}

// work measures small and large messages as fast as they go.
func (run *verifyRun) work(ctx context.Context, g *verifyGateway, last bool) error {
	small := run.Load.Small
	small.File = run.file
	warmUp := small
	warmUp.Messages = small.Messages/10 + small.Sessions
	if err := warmUp.send(ctx, Reused, g.address); err != nil {
		return err
	}
	sample, err := small.measure(ctx, Reused, g.process, g.address)
	if err != nil {
		return err
	}
	run.add(verifyRate, g.name, sample.Rate)
	run.add(verifyCPU, g.name, sample.CPU10k)
	sessions := make(chan *signedSession, largeAtOnce)
	for i := range largeAtOnce {
		session, err := run.open(ctx, g.address, run.large, i)
		if err != nil {
			return err
		}
		defer session.close()
		sessions <- session
	}
	deliver := func(ctx context.Context) error {
		s := <-sessions
		defer func() { sessions <- s }()
		_, err := s.deliver(ctx, "")
		return err
	}
	if err := (workers{largeAtOnce, largeAtOnce}).work(ctx, deliver); err != nil {
		return err
	}
	large := workers{run.Load.Large, largeAtOnce}
	sample, err = large.measure(ctx, g.process.CPU, deliver)
	if err != nil {
		return err
	}
	volume := float64(run.Load.Large) * float64(run.Load.Size) / 1e6
	run.add(verifyBulk, g.name, volume/sample.CPU)
	run.add(verifyBulkRate, g.name, volume/sample.Seconds)
	if !last || g.name != verifyOn || !run.Profile {
		return nil
	}
	run.report.SmallProfile = run.profile(ctx, g.process, func() error { return small.send(ctx, Reused, g.address) })
	run.report.LargeProfile = run.profile(ctx, g.process, func() error { return large.work(ctx, deliver) })
	return nil
}

func (run *verifyRun) profile(ctx context.Context, p *process.Process, work func() error) []Share {
	return profiler{p, run.Scratch, run.Progress}.profile(ctx, work)
}

// passed checks by the metrics that all mail was verified and passed, or none was verified.
func passed(ctx context.Context, admin, name string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	checks := 0
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, "sluice_verify_results_total{") || strings.HasSuffix(line, "} 0") {
			continue
		}
		checks++
		if !strings.Contains(line, `result="pass"`) {
			return fmt.Errorf("not all mail passed: %s", line)
		}
	}
	if verified := checks > 0; verified == (name == verifyOff) {
		return fmt.Errorf("%d kinds of checks were made", checks)
	}
	return lines.Err()
}

func (run *verifyRun) add(what, name string, value float64) {
	series := run.report.row(what, name)
	series.Values = append(series.Values, value)
	fmt.Fprintf(run.Progress, "round %d  %-14s %12.2f  %s\n", len(series.Values), name, value, what)
}

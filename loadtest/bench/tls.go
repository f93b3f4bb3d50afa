package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
)

// TLS is Sluice with TLS beside go-smtp and Postfix with the same certificate.
const TLS = "tls"

// TLSLoad is what clients with TLS do.
type TLSLoad struct {
	Bulk       int           `json:"bulk"`       // messages in one measurement
	Size       int           `json:"size"`       // bytes of each
	Handshakes int           `json:"handshakes"` // in one measurement
	Idle       int           `json:"idle"`       // sessions that are open and do nothing
	Open       int           `json:"open"`       // sessions that say NOOP
	Beside     int           `json:"beside"`     // clients that shake hands by RSA meanwhile, without end
	Span       time.Duration `json:"span"`       // of that
	Rest       time.Duration `json:"rest"`       // that idle sessions have until their memory is read
}

// TLSPlan is one run of it.
type TLSPlan struct {
	Load     TLSLoad
	Rounds   int
	Self     string // this program, which is also the go-smtp peer and its clients
	Sluice   string
	Scratch  string
	Postfix  bool      // it is measured too
	Profile  bool      // of Sluice, in the last round
	Progress io.Writer // a line for each measurement
}

const (
	bulkSessions = 4
	handsAtOnce  = 4
	// noopEvery is the pace of each session that says NOOP.
	noopEvery = 100 * time.Millisecond
)

// anyServer is what clients expect: not who the server is, but that it speaks TLS 1.3 with
// AES-128-GCM. They keep no tickets, so that each handshake is a full one.
var anyServer = &tls.Config{
	InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
	VerifyConnection: func(state tls.ConnectionState) error {
		if state.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
			return fmt.Errorf("the server chose %s", tls.CipherSuiteName(state.CipherSuite))
		}
		return nil
	},
}

type tlsRun struct {
	*TLSPlan
	report *TLSReport
	ecdsa  pair
	rsa    pair
	body   string
}

// RunTLS measures in turn, each round beginning with another server.
func RunTLS(ctx context.Context, plan TLSPlan) (*TLSReport, error) {
	run := &tlsRun{TLSPlan: &plan, report: &TLSReport{Load: plan.Load}, body: string(LargeContent(plan.Load.Size))}
	var err error
	if run.ecdsa, run.rsa, err = writePairs(plan.Scratch); err != nil {
		return nil, err
	}
	contenders := run.contenders()
	for round := range plan.Rounds {
		for turn := range contenders {
			c := contenders[(round+turn)%len(contenders)]
			if err := run.turn(ctx, c, round == plan.Rounds-1); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return run.report, nil
}

// turn measures one server. Each part has a fresh process.
func (run *tlsRun) turn(ctx context.Context, c tlsContender, last bool) error {
	for _, part := range []struct {
		pair    pair
		measure func(context.Context, *tlsServer) error
	}{
		{run.ecdsa, func(ctx context.Context, s *tlsServer) error { return run.work(ctx, s, last) }},
		{run.ecdsa, run.idle},
		{run.rsa, run.beside},
	} {
		starting, cancel := context.WithTimeout(ctx, startPatience)
		s, err := c.start(starting, part.pair)
		cancel()
		if err != nil {
			return err
		}
		s.name, s.idle = c.name, c.idle
		err = part.measure(ctx, s)
		s.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// work measures handshakes and large messages by the server's CPU time.
func (run *tlsRun) work(ctx context.Context, s *tlsServer, last bool) error {
	shake := func(ctx context.Context) error { return shakeHands(ctx, s.address) }
	hands := workers{run.Load.Handshakes, handsAtOnce}
	if err := (workers{hands.messages/10 + handsAtOnce, handsAtOnce}).work(ctx, shake); err != nil {
		return err
	}
	sample, err := hands.measure(ctx, s.cpu, shake)
	if err != nil {
		return err
	}
	run.add(tlsHandshake, s, sample.CPU/float64(hands.messages)*1e6)
	conns := make([]*client.Conn, bulkSessions)
	defer leave(conns)
	if err := run.gather(ctx, s, conns); err != nil {
		return err
	}
	if err := run.send(ctx, conns, run.Load.Bulk/10+bulkSessions); err != nil {
		return err
	}
	before, err := s.cpu()
	if err != nil {
		return err
	}
	if err := run.send(ctx, conns, run.Load.Bulk); err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	run.add(tlsBulk, s, float64(run.Load.Bulk)*float64(run.Load.Size)/1e6/(after-before).Seconds())
	if !last || s.name != sluice || !run.Profile {
		return nil
	}
	run.report.BulkProfile = profiler{s.process, run.Scratch, run.Progress}.profile(ctx, func() error { return run.send(ctx, conns, 4*run.Load.Bulk) })
	run.report.HandshakeProfile = profiler{s.process, run.Scratch, run.Progress}.profile(ctx, func() error { return hands.work(ctx, shake) })
	return nil
}

// send sends messages in bulkSessions sessions, in each one after the other.
func (run *tlsRun) send(ctx context.Context, conns []*client.Conn, messages int) error {
	free := make(chan *client.Conn, len(conns))
	for _, c := range conns {
		free <- c
	}
	return each(ctx, messages, func(int) error {
		c := <-free
		defer func() { free <- c }()
		return run.deliver(ctx, c)
	})
}

func (run *tlsRun) deliver(ctx context.Context, c *client.Conn) error {
	_, err := (&smtpSession{conn: c}).deliver(ctx, run.body)
	return err
}

// shakeHands connects, waits for the greeting and leaves.
func shakeHands(ctx context.Context, address string) error {
	conn, err := (&tls.Dialer{Config: anyServer}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 512))
	_ = conn.Close() // whatever it says: the handshake is over
	return err
}

// ShakeHands shakes hands with a server, so many at a time, until ctx ends, and returns
// how often it did.
func ShakeHands(ctx context.Context, address string, atOnce int) (done int64, err error) {
	working, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var count atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for working.Err() == nil {
				if err := shakeHands(working, address); err == nil {
					count.Add(1)
				} else {
					fail(err) // of no account when ctx has ended
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() == nil {
		err = context.Cause(working)
	}
	return count.Load(), err
}

// idle measures the resident memory of sessions that do nothing, behind their EHLO and
// behind a message. The first use of everything is not theirs.
func (run *tlsRun) idle(ctx context.Context, s *tlsServer) error {
	warm := make([]*client.Conn, bulkSessions)
	if err := run.gather(ctx, s, warm); err != nil {
		return err
	}
	err := run.sendEach(ctx, warm)
	leave(warm)
	if err != nil {
		return err
	}
	before, err := s.memory()
	if err != nil {
		return err
	}
	conns := make([]*client.Conn, min(run.Load.Idle, s.idle))
	defer leave(conns)
	if err := run.gather(ctx, s, conns); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{tlsIdle, func() error { return nil }},
		{tlsIdleAfter, func() error { return run.sendEach(ctx, conns) }},
	} {
		if err := step.do(); err != nil {
			return err
		}
		now, err := run.rested(ctx, s)
		if err != nil {
			return err
		}
		run.add(step.what, s, float64(now-before)/float64(len(conns)))
	}
	return nil
}

// gather opens the sessions.
func (run *tlsRun) gather(ctx context.Context, s *tlsServer, conns []*client.Conn) error {
	return each(ctx, len(conns), func(i int) (err error) {
		conns[i], err = client.DialTLS(ctx, s.address, anyServer)
		return err
	})
}

// sendEach sends a message in each session.
func (run *tlsRun) sendEach(ctx context.Context, conns []*client.Conn) error {
	return each(ctx, len(conns), func(i int) error { return run.deliver(ctx, conns[i]) })
}

func each(ctx context.Context, count int, do func(i int) error) error {
	var next atomic.Int64
	return workers{count, bulkSessions}.work(ctx, func(context.Context) error { return do(int(next.Add(1) - 1)) })
}

func leave(conns []*client.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
}

// rested is the least memory of the server while it rests.
func (run *tlsRun) rested(ctx context.Context, s *tlsServer) (int64, error) {
	least, err := s.memory()
	for end := time.Now().Add(run.Load.Rest); err == nil && ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(run.Load.Rest / 20)
		var now int64
		now, err = s.memory()
		least = min(least, now)
	}
	return least, err
}

// beside measures the replies of open sessions while others shake hands by RSA as fast as
// they can.
func (run *tlsRun) beside(ctx context.Context, s *tlsServer) error {
	conns := make([]*client.Conn, run.Load.Open)
	defer leave(conns)
	if err := run.gather(ctx, s, conns); err != nil {
		return err
	}
	began := time.Now()
	hands, err := process.Start(run.Self, "peer", "hands", "--server", s.address, "--at-once", strconv.Itoa(run.Load.Beside))
	if err != nil {
		return err
	}
	defer hands.Kill()
	if err := s.spend(ctx, startPatience, 200*time.Millisecond); err != nil {
		return fmt.Errorf("%w: %s", err, hands.Output())
	}
	times, err := run.noops(ctx, conns)
	if err != nil {
		return err
	}
	if err := hands.Stop(ctx); err != nil {
		return fmt.Errorf("%w: %s", err, hands.Output())
	}
	took := time.Since(began)
	done, err := strconv.Atoi(strings.TrimSpace(hands.Output()))
	if err != nil {
		return err
	}
	run.add(tlsNoop, s, latencyOf(times).P99)
	run.add(tlsBeside, s, float64(done)/took.Seconds())
	return nil
}

// noops says NOOP in each session at a pace, and returns the milliseconds to the replies.
func (run *tlsRun) noops(ctx context.Context, conns []*client.Conn) ([]float64, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	var times []float64
	var all sync.WaitGroup
	end := time.Now().Add(run.Load.Span)
	for _, c := range conns {
		all.Go(func() {
			var own []float64
			next := time.Now().Add(rand.N(noopEvery)) // not all at once
			for ; next.Before(end) && ctx.Err() == nil; next = next.Add(noopEvery) {
				time.Sleep(time.Until(next))
				began := time.Now()
				if err := c.Command(250, "NOOP"); err != nil {
					fail(err)
					return
				}
				own = append(own, time.Since(began).Seconds()*1000)
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
		})
	}
	all.Wait()
	return times, context.Cause(ctx)
}

func (run *tlsRun) add(what string, s *tlsServer, value float64) {
	row := run.report.row(what, s.name)
	row.Values = append(row.Values, value)
	fmt.Fprintf(run.Progress, "round %d  %-10s %12.2f  %s\n", len(row.Values), s.name, value, what)
}

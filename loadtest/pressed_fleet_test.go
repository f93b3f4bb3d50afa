package main

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/pressure"
	"sluice/loadtest/stack"
	"sluice/pipeline/kafka"
)

// pressedFleet is gateways, and a consumer whose lag is known.
type pressedFleet struct {
	*testing.T
	ctx      context.Context // bounds the whole test
	store    *stack.MinIOServer
	broker   *stack.KafkaServer
	scenario *pressure.Scenario
	consumer *pressure.Consumer
	reader   *kafka.LagReader
	lag      int // messages that were accepted and not consumed
}

// newPressedFleet is three gateways, open as soon as they have read the lag.
func newPressedFleet(t *testing.T) *pressedFleet {
	t.Helper()
	f := newBareFleet(t, &pressure.Scenario{Low: 50, High: 150, Interval: 100 * time.Millisecond})
	f.join()
	for range 3 {
		f.addGateway()
	}
	return f
}

// newBareFleet is a store and a broker with an empty topic: no gateway, and no
// consumer, so that its group does not exist.
func newBareFleet(t *testing.T, s *pressure.Scenario) *pressedFleet {
	t.Helper()
	f := &pressedFleet{T: t, scenario: s}
	f.store, f.broker = servers(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	f.ctx = ctx
	s.Broker = f.broker.Bootstrap
	s.Topic, _ = ownNames()
	s.Group = s.Topic + ".indexer"
	if err := f.broker.CreateTopic(ctx, s.Topic, 3, nil); err != nil {
		t.Fatal(err)
	}
	var err error
	f.reader, err = kafka.NewLagReader(kafka.LagOptions{
		Options: kafka.Options{Brokers: []string{s.Broker}, Topic: s.Topic}, Groups: []string{s.Group},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.reader.Close)
	return f
}

// join makes the consumer a member of the group.
func (f *pressedFleet) join() {
	f.Helper()
	var err error
	if f.consumer, err = f.scenario.NewConsumer(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(f.consumer.Close)
}

func (f *pressedFleet) addGateway() {
	f.Helper()
	dir := filepath.Join(f.TempDir(), strconv.Itoa(len(f.scenario.Gateways)))
	p, err := f.scenario.AddGateway(f.ctx, gatewayBinary, dir, f.store)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Kill)
}

// gates reads what all gateways say.
func (f *pressedFleet) gates() []pressure.Gate {
	f.Helper()
	var all []pressure.Gate
	for _, g := range f.scenario.Gateways {
		gate, err := pressure.ReadGate(f.ctx, g)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, gate)
	}
	return all
}

// await waits until a condition holds for all gateways at the same time.
func (f *pressedFleet) await(what string, holds func(gateway int, g pressure.Gate) bool) {
	f.Helper()
	for {
		gates, all := f.gates(), true
		for i, g := range gates {
			all = all && holds(i, g)
		}
		if all {
			return
		}
		select {
		case <-f.ctx.Done():
			f.Fatalf("with a lag of %d it never was that all %s: %+v", f.lag, what, gates)
		case <-time.After(f.scenario.Interval / 2):
		}
	}
}

// shedding is the condition that a gateway sheds this fraction.
func shedding(fraction float64) func(int, pressure.Gate) bool {
	return func(_ int, g pressure.Gate) bool { return g.Readings > 0 && g.Fraction == fraction }
}

// awaitReadings waits until every gateway goes by a reading that began later than
// now: one may be in flight, and one be counted and not decided on.
func (f *pressedFleet) awaitReadings() {
	f.Helper()
	before := f.gates()
	f.await("have read the lag", func(i int, g pressure.Gate) bool { return g.Readings >= before[i].Readings+3 })
}

// consume lets the consumer take so many records.
func (f *pressedFleet) consume(records int) {
	f.Helper()
	if err := f.consumer.Take(f.ctx, records); err != nil {
		f.Fatal(err)
	}
	f.lag -= records
	f.checkLag()
}

// checkLag compares what was sent and taken with the offsets.
func (f *pressedFleet) checkLag() {
	f.Helper()
	if read := f.reader.Read(f.ctx)[0]; read.Err != nil || read.Records != int64(f.lag) {
		f.Fatalf("a lag of %d by offset (%v), want %d", read.Records, read.Err, f.lag)
	}
}

// atEach does the same for all gateways at the same time.
func (f *pressedFleet) atEach(do func(gateway int, address string)) {
	var all sync.WaitGroup
	for i, g := range f.scenario.Gateways {
		all.Go(func() { do(i, g.SMTP) })
	}
	all.Wait()
}

// send sends one mail in a session of its own. Without an error it was accepted.
func (f *pressedFleet) send(address string) error {
	conn, err := client.Dial(f.ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // after QUIT it has ended anyway
	mail := &client.Mail{
		From: "sender@example.com", To: []string{"someone@example.net"},
		Content: []byte("Subject: pressure\r\n\r\nHello.\r\n"),
	}
	if _, err := conn.Send(mail); err != nil {
		return err
	}
	if err := conn.Quit(); err != nil {
		f.Errorf("%s: %v", address, err)
	}
	return nil
}

// acceptsAll sends so many mails to each gateway, none of which may be shed.
func (f *pressedFleet) acceptsAll(each int) {
	f.Helper()
	f.atEach(func(i int, address string) {
		for range each {
			if err := f.send(address); err != nil {
				f.Errorf("gateway %d, at a lag of %d to %d: %v", i, f.lag, f.lag+each*len(f.scenario.Gateways), err)
			}
		}
	})
	if f.Failed() {
		f.FailNow()
	}
	f.lag += each * len(f.scenario.Gateways)
	f.checkLag()
}

// fill sends until the lag is this. Whoever is shed tries again.
func (f *pressedFleet) fill(lag int) {
	f.Helper()
	tickets := make(chan struct{}, lag-f.lag)
	for range cap(tickets) {
		tickets <- struct{}{}
	}
	f.atEach(func(i int, address string) {
		for f.ctx.Err() == nil {
			select {
			case <-tickets:
			default:
				return
			}
			switch err := f.send(address); {
			case err == nil:
			case pressure.IsShed(err):
				tickets <- struct{}{}
			default:
				f.Errorf("gateway %d: %v", i, err)
				return
			}
		}
	})
	f.lag = lag
	f.checkLag()
}

// open opens a session and says whether it was shed. One that was not begins two
// mails: it must not draw anew at each.
func (f *pressedFleet) open(address string) (shed bool, err error) {
	conn, err := client.Dial(f.ctx, address)
	if pressure.IsShed(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // nothing is lost by it
	for _, line := range []string{"MAIL FROM:<sender@example.com>", "RSET", "MAIL FROM:<sender@example.com>"} {
		if err := conn.Command(250, line); err != nil {
			return false, err
		}
	}
	return false, conn.Quit()
}

// shedsEvenly is shedsBy with the same fraction for all gateways.
func (f *pressedFleet) shedsEvenly(each int, fraction float64) {
	f.Helper()
	f.shedsBy(each, slices.Repeat([]float64{fraction}, len(f.scenario.Gateways)))
}

// shedsBy opens sessions at each gateway while nothing moves. Of n of them a
// share of p is shed give or take sqrt(p(1−p)/n), and five times that happens
// once in a million; none or all of them, when p is 0 or 1.
func (f *pressedFleet) shedsBy(each int, fractions []float64) {
	f.Helper()
	counts := make([]atomic.Int64, len(f.scenario.Gateways))
	f.atEach(func(i int, address string) {
		for range each {
			shed, err := f.open(address)
			if err != nil {
				f.Errorf("gateway %d, while it sheds %.2f: %v", i, fractions[i], err)
				return
			}
			if shed {
				counts[i].Add(1)
			}
		}
	})
	f.await("shed the same after as before", func(i int, g pressure.Gate) bool { return g.Fraction == fractions[i] })
	for i, fraction := range fractions {
		sigma := math.Sqrt(fraction * (1 - fraction) / float64(each))
		share := float64(counts[i].Load()) / float64(each)
		f.Logf("gateway %d shed %.1f %% of %d sessions, its gate is at %.0f %%", i, 100*share, each, 100*fraction)
		if math.Abs(share-fraction) > 5*sigma {
			f.Errorf("gateway %d shed %.1f %%, not %.0f %% (sigma %.1f %%)", i, 100*share, 100*fraction, 100*sigma)
		}
	}
}

// shedsAll opens sessions at each gateway, none of which may be greeted.
func (f *pressedFleet) shedsAll(each int) {
	f.Helper()
	f.atEach(func(i int, address string) {
		for range each {
			if shed, err := f.open(address); err != nil || !shed {
				f.Errorf("gateway %d is shut and took a session (%v)", i, err)
			}
		}
	})
}

// watch reads the fractions again and again until it is asked for them.
func (f *pressedFleet) watch() (seen func() [][]float64) {
	fractions := make([][]float64, len(f.scenario.Gateways))
	ctx, cancel := context.WithCancel(f.ctx)
	var watching sync.WaitGroup
	for i, g := range f.scenario.Gateways {
		watching.Go(func() {
			again := time.NewTicker(f.scenario.Interval)
			defer again.Stop()
			for {
				gate, err := pressure.ReadGate(ctx, g)
				switch {
				case ctx.Err() != nil:
					return
				case err != nil:
					f.Error(err)
					return
				}
				fractions[i] = append(fractions[i], gate.Fraction)
				<-again.C
			}
		})
	}
	end := func() [][]float64 {
		cancel()
		watching.Wait()
		return fractions
	}
	f.Cleanup(func() { end() }) // when the test ends early
	return end
}

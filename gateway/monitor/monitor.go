// Package monitor measures, every interval, what presses on the gateway, and updates the
// gate by which event loops shed sessions.
package monitor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/gateway/pressure"
	"sluice/pipeline/kafka"
)

// LagSource reads the lag of the consumer groups, in their order. A reading ends in
// bounded time.
type LagSource interface {
	Read(ctx context.Context) []kafka.Lag
	Close()
}

// Observer is told what was read and decided.
type Observer interface {
	Pressure(class string, fraction float64, cause string)
	LagRead(group string, records int64, seconds float64)
	LagNotRead(group, result string)
}

// Options are the parts of a Monitor.
type Options struct {
	Settings pressure.Settings
	Lag      LagSource                           // nil without groups
	Local    func(now time.Time) pressure.Inputs // all but the groups
	Store    *StoreProbe                         // nil for a store that cannot be away
	Observer Observer
	Logger   *slog.Logger
}

// Monitor measures every interval and updates the gate.
type Monitor struct {
	options    Options
	gate       *pressure.Gate
	lastLogged []pressure.Verdict // by class, of the last update
	groups     []atomic.Value     // by group, why the lag is not known (a string)
	reading    chan []kafka.Lag
	cancel     context.CancelFunc
	ended      chan struct{} // nil until Run
}

// New returns a monitor with an open gate. The caller closes it.
func New(o Options) *Monitor {
	if o.Store == nil {
		o.Store = &StoreProbe{}
	}
	m := &Monitor{options: o, gate: pressure.NewGate(o.Settings), reading: make(chan []kafka.Lag, 1)}
	m.lastLogged = make([]pressure.Verdict, len(o.Settings.Classes)+1)
	m.groups = make([]atomic.Value, len(o.Settings.Lag.Groups))
	return m
}

// Gate returns the gate that event loops ask.
func (m *Monitor) Gate() *pressure.Gate { return m.gate }

// Start begins the measuring, which ends with Close. It must be called once.
func (m *Monitor) Start() {
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	m.ended = make(chan struct{})
	go func() {
		defer close(m.ended)
		m.run(ctx)
	}()
}

// Close ends the measuring. The gate stays as it was.
func (m *Monitor) Close() {
	if m.ended != nil {
		m.cancel()
		<-m.ended
	}
	if m.options.Lag != nil {
		m.options.Lag.Close()
		m.options.Lag = nil
	}
}

// run updates the gate at each tick, and when a reading of the lag or a probe of the
// store has ended. Each of these runs one at a time and may take longer than an interval.
func (m *Monitor) run(ctx context.Context) {
	tick := time.NewTicker(m.options.Settings.Interval)
	defer tick.Stop()
	store := m.options.Store
	store.sample(ctx, time.Now())
	defer store.end(ctx)
	inFlight := m.read(ctx)
	if !inFlight {
		m.update(nil)
	}
	for {
		select {
		case lags := <-m.reading:
			inFlight = false
			if ctx.Err() == nil { // a reading that was cut says nothing
				m.update(m.readings(lags))
			}
		case err := <-store.answered:
			if store.take(ctx, err, time.Now()); ctx.Err() == nil {
				m.update(nil)
			}
		case <-tick.C:
			store.sample(ctx, time.Now())
			if !inFlight {
				inFlight = m.read(ctx)
			}
			m.update(nil)
		case <-ctx.Done():
			if inFlight {
				<-m.reading
			}
			return
		}
	}
}

// read begins a reading of the lag.
func (m *Monitor) read(ctx context.Context) bool {
	if m.options.Lag == nil {
		return false
	}
	go func() { m.reading <- m.options.Lag.Read(ctx) }()
	return true
}

// readings reports lags to the observer and returns them as inputs of the gate.
func (m *Monitor) readings(lags []kafka.Lag) []pressure.Reading {
	now := time.Now()
	all := make([]pressure.Reading, len(lags))
	for i, lag := range lags {
		r := pressure.Reading{Result: pressure.Read, At: now, Records: lag.Records, Age: lag.Age}
		switch {
		case errors.Is(lag.Err, kafka.ErrUnknownGroup):
			r = pressure.Reading{Result: pressure.Unknown}
		case lag.Err != nil:
			r = pressure.Reading{Result: pressure.Failed}
			m.options.Logger.Debug("lag not read", "group", lag.Group, "err", lag.Err)
		}
		if all[i] = r; r.Result == pressure.Read {
			m.options.Observer.LagRead(lag.Group, lag.Records, lag.Age.Seconds())
		} else {
			m.options.Observer.LagNotRead(lag.Group, r.Result.String())
		}
	}
	return all
}

func (m *Monitor) update(readings []pressure.Reading) {
	now := time.Now()
	in := m.options.Local(now)
	in.Groups = readings
	if m.options.Store.away != nil {
		in.StoreErrors = 1
	}
	d := m.gate.Update(now, in)
	for i, v := range d.Verdicts {
		m.options.Observer.Pressure(v.Class, v.Fraction, v.Cause)
		m.tell(i, v)
	}
	for i, cause := range d.Groups {
		was := m.stale(i)
		m.groups[i].Store(cause)
		if cause != was {
			m.tellGroup(m.options.Settings.Lag.Groups[i], cause)
		}
	}
}

// stale returns why the lag of a group is not known, "" when it is.
func (m *Monitor) stale(group int) string {
	cause, _ := m.groups[group].Load().(string)
	return cause
}

// tell logs when a class begins to be shed, is shed for another cause, comes
// to be shed wholly, and is not shed any more.
func (m *Monitor) tell(class int, v pressure.Verdict) {
	last := m.lastLogged[class]
	m.lastLogged[class] = v
	if v.Cause == last.Cause && (v.Fraction < 1 || last.Fraction == 1) {
		return
	}
	log := m.options.Logger.With("class", v.Class, "fraction", v.Fraction)
	if v.Cause == pressure.CauseOpen {
		log.Info("pressure is over")
		return
	}
	log.Warn("shedding sessions", "cause", v.Cause)
}

func (m *Monitor) tellGroup(group, cause string) {
	log := m.options.Logger.With("group", group)
	switch cause {
	case pressure.CauseLagUnknown:
		log.Warn("no such consumer group: its lag is not known (pressure.lag.groups)")
	case pressure.CauseLagStale:
		log.Warn("the lag of a consumer group cannot be read", "after", m.options.Settings.Lag.StaleAfter.String())
	default:
		log.Info("the lag of a consumer group is known again")
	}
}

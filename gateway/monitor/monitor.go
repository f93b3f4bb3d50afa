// Package monitor measures the load on the gateway every interval and updates the
// pressure gate, by which event loops shed sessions.
package monitor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/gateway/pressure"
	"sluice/internal/panics"
	"sluice/pipeline"
)

// LagSource reads the lag of the consumer groups, in their order. A reading ends within
// bounded time.
type LagSource interface {
	Read(ctx context.Context) []pipeline.Lag
	Close()
}

// Observer receives the readings and the decisions.
type Observer interface {
	Pressure(class string, fraction float64, cause string)
	LagRead(group string, records int64, seconds float64)
	LagNotRead(group, result string)
}

// Options are the parts and settings of a Monitor.
type Options struct {
	Settings pressure.Settings
	Lag      LagSource                           // nil without groups
	Local    func(now time.Time) pressure.Inputs // returns all inputs except the groups
	Store    *StoreProbe                         // nil for a store that is always available
	Observer Observer
	Logger   *slog.Logger
}

// Monitor measures every interval and updates the gate.
type Monitor struct {
	options    Options
	gate       *pressure.Gate
	lastLogged []pressure.Verdict // by class, of the last update
	groups     []atomic.Value     // by group, the cause of an unknown lag (a string)
	reading    chan []pipeline.Lag
	cancel     context.CancelFunc
	ended      chan struct{} // nil until Start
}

// New returns a monitor with an open gate. The caller must close it.
func New(o Options) *Monitor {
	if o.Store == nil {
		o.Store = &StoreProbe{}
	}
	m := &Monitor{options: o, gate: pressure.NewGate(o.Settings), reading: make(chan []pipeline.Lag, 1)}
	m.lastLogged = make([]pressure.Verdict, len(o.Settings.Classes)+1)
	m.groups = make([]atomic.Value, len(o.Settings.Lag.Groups))
	return m
}

// Gate returns the gate that the event loops consult.
func (m *Monitor) Gate() *pressure.Gate { return m.gate }

// Start begins to measure, until Close. It must be called once.
func (m *Monitor) Start() {
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	m.ended = make(chan struct{})
	go func() {
		defer close(m.ended)
		panics.Keep(panics.Monitor, func() { m.run(ctx) })
	}()
}

// Close stops measuring. The gate keeps its last decision.
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
// store has ended. At most one of each is in flight, and may take longer than an
// interval.
func (m *Monitor) run(ctx context.Context) {
	tick := time.NewTicker(m.options.Settings.Interval)
	defer tick.Stop()
	store := m.options.Store
	store.sample(ctx, time.Now())
	defer store.wait(ctx)
	inFlight := m.startReading(ctx)
	if !inFlight {
		m.update(nil)
	}
	for {
		select {
		case lags := <-m.reading:
			inFlight = false
			if ctx.Err() == nil { // ignore a reading that was interrupted
				m.update(m.readings(lags))
			}
		case err := <-store.answered:
			if store.finish(ctx, err, time.Now()); ctx.Err() == nil {
				m.update(nil)
			}
		case <-tick.C:
			store.sample(ctx, time.Now())
			if !inFlight {
				inFlight = m.startReading(ctx)
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

// startReading starts a reading of the lag and reports whether it did.
func (m *Monitor) startReading(ctx context.Context) bool {
	if m.options.Lag == nil {
		return false
	}
	go func() {
		var lags []pipeline.Lag // none after a panic
		defer func() { m.reading <- lags }()
		defer panics.Recover(panics.Monitor, nil)
		lags = m.options.Lag.Read(ctx)
	}()
	return true
}

// readings passes the lags to the observer and returns them as inputs of the gate.
func (m *Monitor) readings(lags []pipeline.Lag) []pressure.Reading {
	if lags == nil {
		return nil
	}
	now := time.Now()
	all := make([]pressure.Reading, len(lags))
	for i, lag := range lags {
		r := pressure.Reading{Result: pressure.Read, At: now, Records: lag.Records, Age: lag.Age}
		switch {
		case errors.Is(lag.Err, pipeline.ErrUnknownGroup):
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

// update updates the gate. After a panic the gate keeps its last decision.
func (m *Monitor) update(readings []pressure.Reading) {
	defer panics.Recover(panics.Monitor, nil)
	now := time.Now()
	in := m.options.Local(now)
	in.Groups = readings
	if m.options.Store.away != nil {
		in.StoreErrors = 1
	}
	d := m.gate.Update(now, in)
	for i, v := range d.Verdicts {
		m.options.Observer.Pressure(v.Class, v.Fraction, v.Cause)
		m.logVerdict(i, v)
	}
	for i, cause := range d.Groups {
		was := m.stale(i)
		m.groups[i].Store(cause)
		if cause != was {
			m.logGroup(m.options.Settings.Lag.Groups[i], cause)
		}
	}
}

// stale returns the cause for which the lag of a group is unknown, "" if it is known.
func (m *Monitor) stale(group int) string {
	cause, _ := m.groups[group].Load().(string)
	return cause
}

// logVerdict logs when sessions of a class begin to be shed, are shed for another cause,
// begin to be all shed, and are no longer shed.
func (m *Monitor) logVerdict(class int, v pressure.Verdict) {
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

func (m *Monitor) logGroup(group, cause string) {
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

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
	// Store and Events are the stages of a message; nil for one that is always usable.
	Store, Events *Stage
	Observer      Observer
	Logger        *slog.Logger
}

// Monitor measures every interval and updates the gate.
type Monitor struct {
	options    Options
	gate       *Gate
	lastLogged []pressure.Verdict // by class, of the last update
	groups     []atomic.Value     // by group, the cause of an unknown lag (a string)
	reading    chan []pipeline.Lag
	probed     chan probed
	changes    chan pressure.Settings
	cancel     context.CancelFunc
	ended      chan struct{} // nil until Start
}

// probed is the result of a probe.
type probed struct {
	stage *Stage
	err   error
}

// New returns a monitor with an open gate. The caller must close it.
func New(o Options) *Monitor {
	for _, s := range []**Stage{&o.Store, &o.Events} {
		if *s == nil {
			*s = NewStage(StageOptions{Off: true})
		}
	}
	m := &Monitor{options: o, reading: make(chan []pipeline.Lag, 1)}
	m.gate = &Gate{pressure.NewGate(o.Settings), o.Store, o.Events}
	m.changes = make(chan pressure.Settings, 1)
	m.probed = make(chan probed, len(m.stages()))
	m.lastLogged = make([]pressure.Verdict, len(o.Settings.Classes)+1)
	m.groups = make([]atomic.Value, len(o.Settings.Lag.Groups))
	return m
}

// Change replaces the thresholds of the gate (pressure.Gate.Change). One goroutine calls it.
func (m *Monitor) Change(s pressure.Settings) {
	select {
	case <-m.changes: // one that was not taken yet
	default:
	}
	m.changes <- s
}

// Gate returns the gate that the event loops consult.
func (m *Monitor) Gate() *Gate { return m.gate }

func (m *Monitor) stages() []*Stage { return []*Stage{m.options.Store, m.options.Events} }

// Start begins to measure, until Close. It must be called once. The stages have been
// probed when it returns: no mail is taken for one that is away from the start.
func (m *Monitor) Start() {
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	m.ended = make(chan struct{})
	m.checkStages(ctx)
	m.awaitProbes(ctx)
	m.followStages()
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

// run updates the gate at each tick, and when a reading of the lag or a probe has ended or
// a stage begins or ends to be usable. At most one reading, and one probe of each stage, is
// in flight, and may take longer than an interval.
func (m *Monitor) run(ctx context.Context) {
	tick, check := time.NewTicker(m.options.Settings.Interval), time.NewTicker(checkEvery)
	defer tick.Stop()
	defer check.Stop()
	defer m.awaitProbes(ctx)
	inFlight := m.startReading(ctx)
	m.update(nil)
	for {
		select {
		case lags := <-m.reading:
			inFlight = false
			if ctx.Err() == nil { // ignore a reading that was interrupted
				m.update(m.readings(lags))
			}
		case p := <-m.probed:
			p.stage.finish(ctx, p.err)
			m.followStages()
		case <-check.C:
			m.checkStages(ctx)
			m.followStages()
		case s := <-m.changes:
			m.options.Settings = s
			m.gate.Change(s)
			m.update(nil)
		case <-tick.C:
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

// checkStages starts the probes that are needed.
func (m *Monitor) checkStages(ctx context.Context) {
	for _, s := range m.stages() {
		if s.check(time.Now()) {
			go func() {
				err := panics.Try(panics.Monitor, func() error { return s.ask(ctx) })
				m.probed <- probed{s, err}
			}()
		}
	}
}

// awaitProbes waits for the probes in flight.
func (m *Monitor) awaitProbes(ctx context.Context) {
	for _, s := range m.stages() {
		for s.inFlight {
			p := <-m.probed
			p.stage.finish(ctx, p.err)
		}
	}
}

// followStages updates the gate if a stage has begun or ended to be usable.
func (m *Monitor) followStages() {
	changed := false
	for _, s := range m.stages() {
		changed = s.follow(time.Now()) || changed
	}
	if changed {
		m.update(nil)
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

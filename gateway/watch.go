package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/gateway/pressure"
	"sluice/pipeline/kafka"
)

// lagSource reads the lag of the consumer groups, in their order. A reading
// ends in bounded time.
type lagSource interface {
	Read(ctx context.Context) []kafka.Lag
	Close()
}

// pressureObserver is told what was read and decided.
type pressureObserver interface {
	Pressure(class string, fraction float64, cause string)
	LagRead(group string, records int64, seconds float64)
	LagNotRead(group, result string)
}

// watchOptions are what a watch is made of.
type watchOptions struct {
	Settings pressure.Settings
	Lag      lagSource                           // nil without groups
	Local    func(now time.Time) pressure.Inputs // all but the groups
	Store    *storeProbe                         // nil for a store that cannot be away
	Observer pressureObserver
	Logger   *slog.Logger
}

// watch measures every interval and updates the gate.
type watch struct {
	options watchOptions
	gate    *pressure.Gate
	told    []pressure.Verdict // by class, of the last update
	groups  []atomic.Value     // by group, why the lag is not known (a string)
	reading chan []kafka.Lag
	cancel  context.CancelFunc
	ended   chan struct{} // nil until Run
}

// newWatch makes a watch with an open gate. Whoever makes it closes it.
func newWatch(o watchOptions) *watch {
	if o.Store == nil {
		o.Store = &storeProbe{}
	}
	w := &watch{options: o, gate: pressure.NewGate(o.Settings), reading: make(chan []kafka.Lag, 1)}
	w.told = make([]pressure.Verdict, len(o.Settings.Classes)+1)
	w.groups = make([]atomic.Value, len(o.Settings.Lag.Groups))
	return w
}

// Gate is what the event loops ask.
func (w *watch) Gate() *pressure.Gate { return w.gate }

// Start begins to watch, until Close. It is called once.
func (w *watch) Start() {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	w.ended = make(chan struct{})
	go func() {
		defer close(w.ended)
		w.run(ctx)
	}()
}

// Close ends the watch. The gate stays as it was.
func (w *watch) Close() {
	if w.ended != nil {
		w.cancel()
		<-w.ended
	}
	if w.options.Lag != nil {
		w.options.Lag.Close()
		w.options.Lag = nil
	}
}

// run updates at each tick and when a reading of the lag or a probe of the store
// has come, each of which is one at a time and may take longer than an interval.
func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(w.options.Settings.Interval)
	defer tick.Stop()
	store := w.options.Store
	store.look(ctx, time.Now())
	defer store.end(ctx)
	under := w.read(ctx)
	if !under {
		w.update(nil)
	}
	for {
		select {
		case lags := <-w.reading:
			under = false
			if ctx.Err() == nil { // a reading that was cut says nothing
				w.update(w.readings(lags))
			}
		case err := <-store.answered:
			if store.take(ctx, err, time.Now()); ctx.Err() == nil {
				w.update(nil)
			}
		case <-tick.C:
			store.look(ctx, time.Now())
			if !under {
				under = w.read(ctx)
			}
			w.update(nil)
		case <-ctx.Done():
			if under {
				<-w.reading
			}
			return
		}
	}
}

// read begins a reading.
func (w *watch) read(ctx context.Context) bool {
	if w.options.Lag == nil {
		return false
	}
	go func() { w.reading <- w.options.Lag.Read(ctx) }()
	return true
}

// readings tells the observer and makes the gate's inputs.
func (w *watch) readings(lags []kafka.Lag) []pressure.Reading {
	now := time.Now()
	all := make([]pressure.Reading, len(lags))
	for i, lag := range lags {
		r := pressure.Reading{Result: pressure.Read, At: now, Records: lag.Records, Age: lag.Age}
		switch {
		case errors.Is(lag.Err, kafka.ErrUnknownGroup):
			r = pressure.Reading{Result: pressure.Unknown}
		case lag.Err != nil:
			r = pressure.Reading{Result: pressure.Failed}
			w.options.Logger.Debug("lag not read", "group", lag.Group, "err", lag.Err)
		}
		if all[i] = r; r.Result == pressure.Read {
			w.options.Observer.LagRead(lag.Group, lag.Records, lag.Age.Seconds())
		} else {
			w.options.Observer.LagNotRead(lag.Group, r.Result.String())
		}
	}
	return all
}

func (w *watch) update(readings []pressure.Reading) {
	now := time.Now()
	in := w.options.Local(now)
	in.Groups = readings
	if w.options.Store.away != nil {
		in.StoreErrors = 1
	}
	d := w.gate.Update(now, in)
	for i, v := range d.Verdicts {
		w.options.Observer.Pressure(v.Class, v.Fraction, v.Cause)
		w.tell(i, v)
	}
	for i, cause := range d.Groups {
		was := w.stale(i)
		w.groups[i].Store(cause)
		if cause != was {
			w.tellGroup(w.options.Settings.Lag.Groups[i], cause)
		}
	}
}

// stale gives why the lag of a group is not known, "" when it is.
func (w *watch) stale(group int) string {
	cause, _ := w.groups[group].Load().(string)
	return cause
}

// tell logs when a class begins to be shed, is shed for another cause, comes
// to be shed wholly, and is not shed any more.
func (w *watch) tell(class int, v pressure.Verdict) {
	last := w.told[class]
	w.told[class] = v
	if v.Cause == last.Cause && (v.Fraction < 1 || last.Fraction == 1) {
		return
	}
	log := w.options.Logger.With("class", v.Class, "fraction", v.Fraction)
	if v.Cause == pressure.CauseOpen {
		log.Info("pressure is over")
		return
	}
	log.Warn("shedding sessions", "cause", v.Cause)
}

func (w *watch) tellGroup(group, cause string) {
	log := w.options.Logger.With("group", group)
	switch cause {
	case pressure.CauseLagUnknown:
		log.Warn("no such consumer group: its lag is not known (pressure.lag.groups)")
	case pressure.CauseLagStale:
		log.Warn("the lag of a consumer group cannot be read", "after", w.options.Settings.Lag.StaleAfter.String())
	default:
		log.Info("the lag of a consumer group is known again")
	}
}

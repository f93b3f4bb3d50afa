// Package pressure decides which fraction of new mail is shed while the consumers of the
// event log, or resources of this process, fall behind.
//
// Update takes measurements and returns a fraction for each class of clients. Shed, on
// the event loops, compares a session's draw with that fraction. The package measures
// nothing itself and has no clock: the same inputs at the same times give the same
// decisions.
package pressure

import (
	"sync/atomic"
	"time"
)

// Gate holds the current decision and the state from which the next one is made. Update
// belongs to one caller; the other methods are safe for concurrent use.
type Gate struct {
	settings Settings
	clients  []Class            // of settings; they do not change
	local    [localInputs]track // inputs of this process, the same for all classes
	groups   []group
	classes  []class
	last     time.Time // of the last update
	now      atomic.Pointer[snapshot]
}

// class is a class of clients with its lag thresholds and, by group, its lag tracks.
type class struct {
	records, age     Band
	recordsOf, ageOf []track
	name             string
}

// NewGate returns an open gate.
func NewGate(s Settings) *Gate {
	g := &Gate{settings: s, clients: s.Classes, groups: make([]group, len(s.Lag.Groups))}
	g.add(Class{Name: DefaultClass})
	for _, c := range s.Classes {
		g.add(c)
	}
	g.publish(g.decide(time.Time{}))
	return g
}

func (g *Gate) add(c Class) {
	groups := len(g.settings.Lag.Groups)
	added := class{name: c.Name, recordsOf: make([]track, groups), ageOf: make([]track, groups)}
	added.follow(c, &g.settings.Lag)
	g.classes = append(g.classes, added)
}

// follow sets the thresholds of a class.
func (c *class) follow(of Class, lag *LagSettings) {
	c.records, c.age = lag.Records, lag.Age
	if of.Records.On() {
		c.records = of.Records
	}
	if of.Age.On() {
		c.age = of.Age
	}
}

// Change replaces the thresholds from the next Update on. The groups, the interval, and the
// names and clients of the classes must be those of before. Change belongs to the caller of
// Update.
func (g *Gate) Change(s Settings) {
	g.settings = s
	g.classes[0].follow(Class{}, &s.Lag)
	for i, c := range s.Classes {
		g.classes[i+1].follow(c, &s.Lag)
	}
}

// Decision is the result of an update.
type Decision struct {
	Verdicts []Verdict // by class
	Groups   []string  // by group: cause of an unknown lag (CauseLagStale, CauseLagUnknown), or ""
}

// Verdict is the decision for one class.
type Verdict struct {
	Class    string
	Fraction float64 // of sessions to shed, 0…1
	Cause    string  // CauseOpen if the fraction is 0
}

// Causes of shedding. They are labels of metrics and appear in log lines, so the set is
// closed.
const (
	CauseOpen           = "" // nothing is shed
	CauseLagRecords     = "lag_records"
	CauseLagAge         = "lag_age"
	CauseLagStale       = "lag_stale"         // no reading for longer than StaleAfter
	CauseLagUnknown     = "lag_unknown_group" // the consumer group does not exist
	CauseBodyMemory     = "body_memory_pressure"
	CauseUploadAge      = "upload_age"
	CauseProducerBuffer = "producer_buffer"
	CauseStoreErrors    = "store_errors"
	CauseEventsErrors   = "events_errors"
	CauseUnreadEvents   = "unread_events" // the log would delete them soon
	CauseOpenFiles      = "open_files"
)

// Causes returns every cause except CauseOpen.
func Causes() []string {
	return []string{
		CauseLagRecords, CauseLagAge, CauseLagStale, CauseLagUnknown,
		CauseBodyMemory, CauseUploadAge, CauseProducerBuffer, CauseStoreErrors, CauseEventsErrors,
		CauseUnreadEvents, CauseOpenFiles,
	}
}

// Update makes a new decision from in. now must not go back.
func (g *Gate) Update(now time.Time, in Inputs) Decision {
	elapsed := g.elapsed(now)
	g.followLocal(&in, elapsed*fallLocal)
	for i := range g.groups {
		var r Reading
		if i < len(in.Groups) {
			r = in.Groups[i]
		}
		g.groups[i].take(r, now)
		g.followLag(i, now, elapsed*fallLag)
	}
	g.last = now
	d := g.decide(now)
	g.publish(d)
	return d
}

// elapsed returns the time since the last update in intervals, at most 1. It scales the
// fall that this update allows: less when it is early, and no more than one interval's
// fall when it is late.
func (g *Gate) elapsed(now time.Time) float64 {
	if g.last.IsZero() {
		return 1
	}
	return min(1, max(0, float64(now.Sub(g.last))/float64(g.settings.Interval)))
}

// followLag applies the lag of group i to the tracks of all classes.
func (g *Gate) followLag(i int, now time.Time, step float64) {
	state, lag := &g.groups[i], &g.settings.Lag
	cause := state.staleCause(now, lag.StaleAfter)
	for c := range g.classes {
		class := &g.classes[c]
		for _, t := range []struct {
			track *track
			band  Band
			value float64
			cause string
		}{
			{&class.recordsOf[i], class.records, float64(state.last.Records), CauseLagRecords},
			{&class.ageOf[i], class.age, state.last.Age.Seconds(), CauseLagAge},
		} {
			t.track.cause = t.cause
			if cause == "" {
				t.track.follow(t.band, t.value, step)
				continue
			}
			t.track.cause = cause
			switch {
			case lag.OnStale == Open:
				t.track.force(0, step)
			case lag.OnStale == Shed, !state.known():
				t.track.force(1, step)
			}
		}
	}
}

// localInputs is the number of inputs from this process.
const localInputs = 7

// followLocal applies the inputs from this process to their tracks.
func (g *Gate) followLocal(in *Inputs, step float64) {
	s := &g.settings
	for i, p := range [localInputs]struct {
		band  Band
		value float64
		cause string
	}{
		{s.BodyMemory, in.BodyMemory, CauseBodyMemory},
		{s.UploadAge, in.UploadAge, CauseUploadAge},
		{s.ProducerBuffer, in.ProducerBuffer, CauseProducerBuffer},
		{s.StoreErrors, in.StoreErrors, CauseStoreErrors},
		{s.EventsErrors, in.EventsErrors, CauseEventsErrors},
		{s.UnreadEvents, in.UnreadEvents, CauseUnreadEvents},
		{s.OpenFiles, in.OpenFiles, CauseOpenFiles},
	} {
		g.local[i].cause = p.cause
		g.local[i].follow(p.band, p.value, step)
	}
}

func (g *Gate) decide(now time.Time) Decision {
	d := Decision{Verdicts: make([]Verdict, len(g.classes)), Groups: make([]string, len(g.groups))}
	for i := range g.groups {
		if !now.IsZero() {
			d.Groups[i] = g.groups[i].staleCause(now, g.settings.Lag.StaleAfter)
		}
	}
	for i := range g.classes {
		c, v := &g.classes[i], &d.Verdicts[i]
		v.Class = c.name
		for _, tracks := range [][]track{c.recordsOf, c.ageOf, g.local[:]} {
			for _, t := range tracks {
				if t.fraction > v.Fraction {
					v.Fraction, v.Cause = t.fraction, t.cause
				}
			}
		}
	}
	return d
}

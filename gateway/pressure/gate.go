// Package pressure decides which share of new mail is turned away while what
// stands behind the gateway falls behind.
//
// Update takes what was measured and gives a fraction for each class of
// clients. Shed, on the event loops, compares a session's draw with it. The
// package measures nothing itself and has no clock: the same inputs at the
// same times give the same decisions.
package pressure

import (
	"sync/atomic"
	"time"
)

// Gate is a decision and what it needs to make the next. Update and Decision
// belong to one caller, the other methods are safe for concurrent use.
type Gate struct {
	settings Settings
	local    [locals]track // pressures in this process, the same for all classes
	groups   []group
	classes  []class
	last     time.Time // of the last update
	now      atomic.Pointer[snapshot]
}

// class has the tracks of the lag, by group.
type class struct {
	records, age     Band
	recordsOf, ageOf []track
	name             string
}

// NewGate makes an open gate.
func NewGate(s Settings) *Gate {
	g := &Gate{settings: s, groups: make([]group, len(s.Lag.Groups))}
	g.add(Class{Name: DefaultClass})
	for _, c := range s.Classes {
		g.add(c)
	}
	g.publish(g.decide(time.Time{}))
	return g
}

func (g *Gate) add(c Class) {
	lag := &g.settings.Lag
	added := class{
		name: c.Name, records: lag.Records, age: lag.Age,
		recordsOf: make([]track, len(lag.Groups)), ageOf: make([]track, len(lag.Groups)),
	}
	if c.Records.On() {
		added.records = c.Records
	}
	if c.Age.On() {
		added.age = c.Age
	}
	g.classes = append(g.classes, added)
}

// Decision is what an update came to.
type Decision struct {
	Verdicts []Verdict // by class
	Groups   []string  // by group: why its lag is not known (CauseLagStale, CauseLagUnknown), or ""
}

// Verdict is the decision on one class.
type Verdict struct {
	Class    string
	Fraction float64 // of sessions to shed, 0…1
	Cause    string  // CauseOpen when the fraction is 0
}

// Update decides anew. now does not go back.
func (g *Gate) Update(now time.Time, in Inputs) Decision {
	share := g.share(now)
	g.follow(&in, share*fallLocal)
	for i := range g.groups {
		var r Reading
		if i < len(in.Groups) {
			r = in.Groups[i]
		}
		g.groups[i].take(r, now)
		g.weigh(i, now, share*fallLag)
	}
	g.last = now
	d := g.decide(now)
	g.publish(d)
	return d
}

// share is the part of an interval's fall that this update may bring: less when it
// comes early, and no more than all when it comes late.
func (g *Gate) share(now time.Time) float64 {
	if g.last.IsZero() {
		return 1
	}
	return min(1, max(0, float64(now.Sub(g.last))/float64(g.settings.Interval)))
}

// weigh brings the lag of one group to the tracks of all classes.
func (g *Gate) weigh(i int, now time.Time, step float64) {
	state, lag := &g.groups[i], &g.settings.Lag
	cause := state.stale(now, lag.StaleAfter)
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

func (g *Gate) decide(now time.Time) Decision {
	d := Decision{Verdicts: make([]Verdict, len(g.classes)), Groups: make([]string, len(g.groups))}
	for i := range g.groups {
		if !now.IsZero() {
			d.Groups[i] = g.groups[i].stale(now, g.settings.Lag.StaleAfter)
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

package monitor

import (
	"time"

	"sluice/gateway/pressure"
	"sluice/pipeline"
)

// Gate is the pressure gate with what event loops know sooner than the next decision: a
// stage that cannot be used sheds everybody but its trials. It implements driver.Gate, and
// pipeline.Watcher by which loops report results. Its methods neither lock nor allocate.
type Gate struct {
	*pressure.Gate
	store, events *Stage
}

// Result implements pipeline.Watcher.
func (g *Gate) Result(stage pipeline.Stage, err error, took time.Duration) {
	switch stage {
	case pipeline.StageStoring:
		g.store.meter.result(err, took)
	case pipeline.StagePublishing:
		g.events.meter.result(err, took)
	}
}

// Shed implements driver.Gate.
func (g *Gate) Shed(class uint8, draw uint16) (cause string, shed bool) {
	cause, shed = g.Gate.Shed(class, draw)
	for _, s := range [...]*Stage{g.store, g.events} {
		switch {
		case s.Usable():
		case !s.trial():
			return s.Cause, true
		case cause == s.Cause:
			cause, shed = pressure.CauseOpen, false
		}
	}
	return cause, shed
}

// Admit implements driver.Gate.
func (g *Gate) Admit() (cause string, trial bool) {
	if !g.store.Usable() && !g.store.take() {
		return g.store.Cause, false
	}
	if g.events.Usable() {
		return pressure.CauseOpen, false
	}
	if !g.events.take() {
		return g.events.Cause, false
	}
	return pressure.CauseOpen, true
}

// MayStore implements driver.Gate.
func (g *Gate) MayStore() bool { return g.events.Usable() || g.events.take() }

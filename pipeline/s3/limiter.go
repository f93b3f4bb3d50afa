package s3

import (
	"math"
	"time"
)

// backgroundLimiter bounds concurrent requests for large messages while small ones are
// frequent. It is an adaptive concurrency limit for background traffic. It seeks the
// highest limit at which small requests stay within tolerance of their baseline latency.
// (RFC 6817 uses added delay the same way; the limit stands in for its window.)
//
// A probe starts at a limit of one. It multiplies the limit by growth as long as tasks
// wait and the latency stays within tolerance. A store near its capacity ends at one; a
// distant or a large one has the maximum within seconds.
type backgroundLimiter struct {
	max           int           // largest limit
	maxWait       time.Duration // a task that waited longer raises extra
	stallTimeout  time.Duration // so does this long without a start, as after a stalled task
	contendedRate float64       // small messages a second from which the limit applies
	minSamples    int           // requests needed to judge a limit

	limit     int  // the current limit, or the one that a probe tries
	probing   bool // a higher limit follows when this one is within tolerance
	lastProbe time.Time
	baseline  ewma    // cost of small requests alongside at most one large task
	loaded    ewma    // cost of small requests at the limit
	extra     int     // tasks above the limit, because large messages wait too long
	smallRate float64 // small messages a second, at lastSmall (rate)
	lastSmall time.Time
	lastStart time.Time // of a large task
	lastWait  time.Duration
}

const (
	// tolerance is how many times their baseline small requests may cost alongside large
	// ones.
	tolerance = 1.3
	// growth is the factor from one limit of a probe to the next. With a factor of two
	// the latency would hardly differ from the one before (docs/measurements.md, Small
	// messages beside large ones).
	growth = 4
	// probeInterval is the time between probes when nothing else calls for one.
	probeInterval = 5 * time.Minute
	// rateWindow is the time constant of the rate. The count of small messages decays by
	// a factor of e in it, so the count is the rate per window.
	rateWindow = time.Second
)

func newBackgroundLimiter(max int, timeout time.Duration) *backgroundLimiter {
	return &backgroundLimiter{
		max: max, maxWait: timeout / 20, stallTimeout: timeout / 12,
		contendedRate: 10, minSamples: 32, limit: 1,
	}
}

// rate returns the approximate number of small messages a second.
func (l *backgroundLimiter) rate(now time.Time) float64 {
	return l.smallRate * math.Exp(-now.Sub(l.lastSmall).Seconds()/rateWindow.Seconds())
}

// contended reports whether small messages are so frequent that the limit applies.
func (l *backgroundLimiter) contended(now time.Time) bool { return l.rate(now) >= l.contendedRate }

// allowed returns the number of large tasks that may be in flight.
func (l *backgroundLimiter) allowed(now time.Time) int {
	if !l.contended(now) {
		return l.max
	}
	return min(l.limit+l.extra, l.max)
}

// smallStarted records the start of a request with this many small messages.
func (l *backgroundLimiter) smallStarted(now time.Time, messages int) {
	l.smallRate, l.lastSmall = l.rate(now)+float64(messages), now
}

// smallDone records the success of a small request. Once small requests exceed the
// tolerance, a probe ends at the limit before. Outside of a probe the store must have
// changed, so smallDone starts one.
func (l *backgroundLimiter) smallDone(now time.Time, r smallRequest) {
	lowest, highest := min(r.before, r.after), max(r.before, r.after)
	switch {
	case highest <= 1:
		l.baseline.add(r.cost(), l.baseline.value)
	case lowest > l.limit/growth && highest <= l.limit && l.baseline.count >= l.minSamples:
		// With more tasks than the limit the sample would be of an earlier limit.
		l.loaded.add(r.cost(), l.baseline.value)
	}
	if !l.overTolerance() {
		return
	}
	if !l.probing { // perhaps for other reasons than large messages
		l.probe(now)
		return
	}
	l.limit, l.loaded, l.probing = max(l.limit/growth, 1), ewma{}, false
}

// overTolerance reports whether small requests cost too much at the limit. At twice the
// baseline a quarter of the samples are enough: a probe should be short.
func (l *backgroundLimiter) overTolerance() bool {
	return l.loaded.count >= l.minSamples && l.loaded.value > tolerance*l.baseline.value ||
		l.loaded.count >= l.minSamples/4 && l.loaded.value > 2*l.baseline.value
}

// probe starts over: with a limit of one and without samples.
func (l *backgroundLimiter) probe(now time.Time) {
	l.limit, l.baseline, l.loaded = 1, ewma{}, ewma{}
	l.probing, l.lastProbe = true, now
}

// largeStarted records the start of a large task that waited this long.
func (l *backgroundLimiter) largeStarted(now time.Time, waited time.Duration) {
	l.lastStart, l.lastWait = now, waited
}

// tick does what follows from the time alone: it adjusts extra, starts a probe and goes
// to its next limit. waiting is the number of large tasks that wait.
func (l *backgroundLimiter) tick(now time.Time, waiting int) {
	switch {
	case waiting == 0:
		l.extra, l.lastStart = 0, now
		return
	case now.Sub(l.lastStart) > l.stallTimeout || l.lastWait > l.maxWait:
		l.extra = min(l.extra+1, l.max)
	case l.lastWait < l.maxWait/2:
		l.extra = max(l.extra-1, 0)
	}
	if !l.contended(now) {
		return
	}
	if now.Sub(l.lastProbe) > probeInterval {
		l.probe(now)
	}
	known := l.baseline.count >= l.minSamples && (l.limit == 1 || l.loaded.count >= l.minSamples)
	if !l.probing || !known {
		return
	}
	if l.limit == l.max {
		l.probing = false
		return
	}
	l.limit, l.loaded = min(growth*l.limit, l.max), ewma{}
}

// smallRequest is a request of a pack worker.
type smallRequest struct {
	took  time.Duration
	bytes int64
	// Large tasks in flight at its start and at its end.
	before, after int
}

// cost returns the duration, scaled so that requests of different size compare. To a
// store the first byte costs about as much as a further MiB.
func (r *smallRequest) cost() float64 { return r.took.Seconds() / (1 + float64(r.bytes)/(1<<20)) }

// ewma is an exponentially weighted moving average. Its weight is 1/256, and that of a
// plain mean for the first 256 values.
type ewma struct {
	value float64
	count int
}

// add adds value, capped at eight times typical unless typical is 0. A single stalled
// request says nothing about the others.
func (e *ewma) add(value, typical float64) {
	if e.count < 256 {
		e.count++
	}
	if typical > 0 {
		value = min(value, 8*typical)
	}
	e.value += (value - e.value) / float64(e.count)
}

package s3

import (
	"math"
	"time"
)

// courtesy is how many tasks of large messages may be under way at the same time
// while small ones are frequent: as many as these do not feel. A survey begins with
// one and tries four times as many, while more wait, until the lanes' requests take
// longer beside them than beside one, as those of a store near its limits do. One
// that is far away, or large, has all in seconds. (Background traffic as in RFC
// 6817, which too goes by the delay that it adds; the number of tasks stands in the
// place of the window.)
type courtesy struct {
	most     int           // tasks at the same time
	late     time.Duration // whoever waits longer gives way no more
	stalled  time.Duration // so long one task may keep all others waiting
	frequent float64       // small messages a second
	samples  int           // requests that it takes to judge

	level      int  // that small requests do not feel, or that is being tried
	surveying  bool // a higher level is tried when this one was not felt
	surveyed   time.Time
	few, many  mean    // what requests cost beside one task at most, and at the level
	extra      int     // above the level, because large messages wait too long
	small      float64 // small messages a second, at lastSmall (rate)
	lastSmall  time.Time
	lastBegun  time.Time // a large task was
	lastWaited time.Duration
}

const (
	// hurts is how much longer small requests may take beside the large ones of a
	// level than they do beside one or none.
	hurts = 1.3
	// step is by how much the next level is higher: where one is felt, two are not
	// much more so, but four are.
	step = 4
	// between surveys, when nothing else calls for one.
	between = 5 * time.Minute
	// memory is the time in which what is known of the small messages' rate fades
	// by a factor of e, so that their number in it is the rate.
	memory = time.Second
)

func newCourtesy(most int, timeout time.Duration) *courtesy {
	return &courtesy{
		most: most, late: timeout / 20, stalled: timeout / 12, frequent: 10, samples: 32,
		level: 1,
	}
}

// rate gives the small messages a second, about.
func (c *courtesy) rate(now time.Time) float64 {
	return c.small * math.Exp(-now.Sub(c.lastSmall).Seconds()/memory.Seconds())
}

// yields says whether small messages are so frequent that large ones give way.
func (c *courtesy) yields(now time.Time) bool { return c.rate(now) >= c.frequent }

// limit gives the number of tasks.
func (c *courtesy) limit(now time.Time) int {
	if !c.yields(now) {
		return c.most
	}
	return min(c.level+c.extra, c.most)
}

// smallBegun notes a request of so many small messages.
func (c *courtesy) smallBegun(now time.Time, messages int) {
	c.small, c.lastSmall = c.rate(now)+float64(messages), now
}

// smallDone notes that a small request went well.
func (c *courtesy) smallDone(now time.Time, r smallRequest) {
	least, most := min(r.before, r.after), max(r.before, r.after)
	switch {
	case most <= 1:
		c.few.add(r.cost(), c.few.value)
	case least > c.level/step && most <= c.level && c.few.count >= c.samples:
		c.many.add(r.cost(), c.few.value) // not of tasks that an earlier limit let in
	}
	if !c.felt() {
		return
	}
	if !c.surveying { // something has changed, perhaps without the large ones
		c.survey(now)
		return
	}
	c.level, c.many, c.surveying = max(c.level/step, 1), mean{}, false
}

// felt says whether small requests take too long at the level. Where they take
// twice as long a quarter of the samples will do: a trial shall be short.
func (c *courtesy) felt() bool {
	return c.many.count >= c.samples && c.many.value > hurts*c.few.value ||
		c.many.count >= c.samples/4 && c.many.value > 2*c.few.value
}

// survey begins anew.
func (c *courtesy) survey(now time.Time) {
	c.level, c.few, c.many = 1, mean{}, mean{}
	c.surveying, c.surveyed = true, now
}

// largeBegun notes that a task is taken up that has waited so long.
func (c *courtesy) largeBegun(now time.Time, waited time.Duration) {
	c.lastBegun, c.lastWaited = now, waited
}

// tick is called now and then with the number of tasks that wait.
func (c *courtesy) tick(now time.Time, waiting int) {
	switch {
	case waiting == 0:
		c.extra, c.lastBegun = 0, now
		return
	case now.Sub(c.lastBegun) > c.stalled || c.lastWaited > c.late:
		c.extra = min(c.extra+1, c.most)
	case c.lastWaited < c.late/2:
		c.extra = max(c.extra-1, 0)
	}
	if !c.yields(now) {
		return
	}
	if now.Sub(c.surveyed) > between {
		c.survey(now)
	}
	known := c.few.count >= c.samples && (c.level == 1 || c.many.count >= c.samples)
	if !c.surveying || !known {
		return
	}
	if c.level == c.most {
		c.surveying = false
		return
	}
	c.level, c.many = min(step*c.level, c.most), mean{}
}

// smallRequest is one of the lanes.
type smallRequest struct {
	took   time.Duration
	octets int64
	// Large tasks that were under way at its beginning and at its end.
	before, after int
}

// cost makes requests of different size comparable: the first octet costs a store
// about as much as a mebibyte more does.
func (r *smallRequest) cost() float64 { return r.took.Seconds() / (1 + float64(r.octets)/(1<<20)) }

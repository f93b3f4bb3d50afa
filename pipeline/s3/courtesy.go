package s3

import "time"

// courtesy is how many tasks of large messages may be under way at the same time
// while small ones are: as many as these do not feel. It begins with one, tries
// twice as many when more wait, and goes back when the lanes' requests take longer
// beside them, as those of a store near its limits do. One that is far away, or
// large, soon has all. (Background traffic as in RFC 6817, which too goes by the
// delay that it adds; the number stands in the place of the window.)
type courtesy struct {
	most int // tasks at the same time
	late time.Duration

	level      int // that small requests were found not to feel, or that is being tried
	extra      int // above it, because large messages wait too long
	few, many  mean
	notBefore  time.Time // of the next trial
	lastSmall  time.Time // a small request was begun or ended well
	lastBegun  time.Time // a large task was
	lastWaited time.Duration
}

const (
	// quiet without small requests for so long, large ones give way to nobody.
	quiet = time.Second
	// hurts is how much longer small requests may take beside the large ones of a
	// level than they do beside one or none.
	hurts = 1.3
	// samples are as many requests as it takes to judge.
	samples = 32
	// between trials that found a level too high.
	between = time.Minute
	// stalled is how long one task may keep all others waiting.
	stalled = time.Second
)

func newCourtesy(most int, timeout time.Duration) *courtesy {
	return &courtesy{most: most, late: timeout / 20, level: 1}
}

// yields says whether small messages are on their way.
func (c *courtesy) yields(now time.Time) bool {
	return !c.lastSmall.IsZero() && now.Sub(c.lastSmall) < quiet
}

// limit gives the number of tasks.
func (c *courtesy) limit(now time.Time) int {
	if !c.yields(now) {
		return c.most
	}
	return min(c.level+c.extra, c.most)
}

// smallBegun notes that a small request is made.
func (c *courtesy) smallBegun(now time.Time) { c.lastSmall = now }

// smallDone notes that a small request went well.
func (c *courtesy) smallDone(now time.Time, r smallRequest) {
	c.lastSmall = now
	switch seconds := r.cost(); {
	case max(r.before, r.after) <= 1:
		c.few.add(seconds, c.few.value)
	case c.level > 1 && min(r.before, r.after) > c.level/2 && c.few.count >= samples:
		c.many.add(seconds, c.few.value)
	}
	if c.many.count >= samples && c.many.value > hurts*c.few.value {
		c.level, c.many = c.level/2, mean{}
		c.notBefore = now.Add(between)
	}
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
	case now.Sub(c.lastBegun) > stalled || c.lastWaited > c.late:
		c.extra = min(c.extra+1, c.most)
	case c.lastWaited < c.late/2:
		c.extra = max(c.extra-1, 0)
	}
	known := c.few.count >= samples && (c.level == 1 || c.many.count >= samples)
	if known && c.level < c.most && now.After(c.notBefore) {
		c.level, c.many = min(2*c.level, c.most), mean{}
	}
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

// mean is one of the last 256 values, nearly.
type mean struct {
	value float64
	count int
}

// add adds a value, of which no more counts than eight times the usual one: one
// request that stood still says nothing of the others.
func (m *mean) add(value, usual float64) {
	if m.count < 256 {
		m.count++
	}
	if usual > 0 {
		value = min(value, 8*usual)
	}
	m.value += (value - m.value) / float64(m.count)
}

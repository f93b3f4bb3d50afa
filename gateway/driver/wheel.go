package driver

import "time"

// tickLength is the grain of all deadlines.
const tickLength = 100 * time.Millisecond

// wheelSlots spans 102 s. A later deadline is looked at once in each turn of the wheel.
const wheelSlots = 1024

// wheel is a hashed timer wheel of connections, one for each loop. Moving a
// deadline away costs one assignment: a connection stays where it is linked
// until its slot comes by and is linked anew then.
type wheel struct {
	slots [wheelSlots]*Conn
	tick  int64 // the last tick that was turned
	size  int
	dues  []*Conn // of the tick being turned
}

// ticksOf returns a duration in ticks, rounded up, so that no deadline comes early.
func ticksOf(d time.Duration) int64 {
	return int64((d + tickLength - 1) / tickLength)
}

// set makes c due at a tick. c is linked if it was not.
func (w *wheel) set(c *Conn, deadline int64) {
	deadline = max(deadline, w.tick+1)
	c.deadline = uint32(deadline)
	switch {
	case c.slot == 0:
		w.size++
	case deadline >= int64(c.slot):
		return
	default:
		w.unlink(c)
	}
	w.link(c, deadline)
}

// remove takes c out.
func (w *wheel) remove(c *Conn) {
	if c.slot != 0 {
		w.unlink(c)
		c.slot = 0
		w.size--
	}
}

// turn advances to a tick and calls due for each connection whose deadline has
// come. That connection is out of the wheel and must be set again or be ended.
func (w *wheel) turn(to int64, due func(*Conn)) {
	from := max(w.tick+1, to-wheelSlots+1)
	for t := from; t <= to; t++ {
		w.tick = t
		c := w.slots[t%wheelSlots]
		w.slots[t%wheelSlots] = nil
		for c != nil {
			next := c.next
			c.next, c.prev = nil, nil
			if int64(c.deadline) > t {
				w.link(c, int64(c.deadline))
			} else {
				c.slot = 0
				w.size--
				w.dues = append(w.dues, c)
			}
			c = next
		}
		for _, c := range w.dues {
			if c.slot == 0 && !c.finished {
				due(c)
			}
		}
		clear(w.dues)
		w.dues = w.dues[:0]
	}
}

// all returns every connection, in the order of the slots.
func (w *wheel) all() []*Conn {
	conns := make([]*Conn, 0, w.size)
	for _, c := range w.slots {
		for ; c != nil; c = c.next {
			conns = append(conns, c)
		}
	}
	return conns
}

func (w *wheel) link(c *Conn, tick int64) {
	c.slot = uint32(tick)
	head := &w.slots[tick%wheelSlots]
	c.next, c.prev = *head, nil
	if c.next != nil {
		c.next.prev = c
	}
	*head = c
}

func (w *wheel) unlink(c *Conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		w.slots[c.slot%wheelSlots] = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
}

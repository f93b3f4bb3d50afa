package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Observer counts the stages of complete messages. Its methods are called on event
// loops.
type Observer interface {
	// StageDone is called when a stage of ObservedStages has its result: ok or a kind
	// of failure.
	StageDone(stage, result string, seconds float64)
	// LateResult is called when a stage has its result after the sender had another
	// answer or was gone.
	LateResult(stage, result string)
}

// way is the order of the stages of a complete message, from its final dot to its
// outcome; the meaning of 250 rests on it. begin starts a stage and reports whether
// the message must wait for a result of it. A verification that belongs into the
// header has its place before StageStoring, which writes the header.
var way = [...]wayStage{
	{StageParts, (*Committer).awaitParts, false},
	{StageStoring, (*Committer).store, true},
	{StagePublishing, (*Committer).publish, true},
}

// wayStage is one stage of way.
type wayStage struct {
	stage    Stage
	begin    func(*Committer, *Message) (waits bool)
	observed bool // by an Observer
}

// ObservedStages returns the names of the stages that an Observer is told of.
func ObservedStages() []string {
	var names []string
	for i := range way {
		if way[i].observed {
			names = append(names, way[i].stage.String())
		}
	}
	return names
}

// Committer takes complete messages through the stages of way. It is a state machine
// without threads: Commit starts a message, and each time the message returns to its
// loop Advance takes it a stage further. It keeps no state of its own, so every event
// loop may call it.
type Committer struct {
	Store    ObjectStore
	Log      EventLog
	Observer Observer
	// Bucket is the name of the store's bucket in events: it counts in their size.
	Bucket string
}

// EventLimit returns the most bytes that an event may have (Message.EventBound) so that
// the log can take it, 0 when that is not known.
func (c *Committer) EventLimit() int64 {
	log, ok := c.Log.(BoundedLog)
	if !ok {
		return 0
	}
	limit := log.EventLimit()
	if limit <= 0 {
		return 0
	}
	return max(1, limit-textSize(c.Bucket))
}

// Commit takes a complete message to the first stage for which it must wait.
func (c *Committer) Commit(m *Message, now time.Time) {
	c.begin(0, m, now)
}

// Advance takes the result with which a message returned from the stage in which it
// was in flight. It reports whether the message is at its end, with its outcome in
// m.Result.Err; if not, the message is in flight again. A detached message is not
// published: its sender will send it again, and an object without an event is cheaper
// than a message twice.
func (c *Committer) Advance(m *Message, now time.Time) (done bool) {
	i := slices.IndexFunc(way[:], func(w wayStage) bool { return w.stage == m.Stage })
	c.observe(i, m, now)
	if m.Stage == StagePublishing && KindOf(m.Result.Err) == KindEventTooLarge {
		c.remove(m)
	}
	if m.Result.Err != nil || m.Detached() {
		m.Stage = StageDone
		return true
	}
	return c.begin(i+1, m, now)
}

// begin begins the stages from way[i] on, up to one for which the message must wait. It
// reports whether there is none.
func (c *Committer) begin(i int, m *Message, now time.Time) (done bool) {
	for ; i < len(way); i++ {
		m.Stage, m.StageAt = way[i].stage, now
		if way[i].begin(c, m) {
			return false
		}
	}
	m.Stage = StageDone
	return true
}

// observe counts the result of way[i].
func (c *Committer) observe(i int, m *Message, now time.Time) {
	stage, result := m.Stage.String(), KindOf(m.Result.Err).String()
	switch {
	case !way[i].observed:
	case m.Detached():
		c.Observer.LateResult(stage, result)
	default:
		c.Observer.StageDone(stage, result, now.Sub(m.StageAt).Seconds())
	}
}

// awaitParts waits for the parts that are being uploaded.
func (c *Committer) awaitParts(m *Message) bool { return m.Parts.Out > 0 }

// store writes the header of a message and hands both to the object store.
func (c *Committer) store(m *Message) bool {
	m.Header = AppendTrace(m.Header[:0], m)
	m.Header = AppendSeparator(m.Header, &m.Body)
	c.Store.Put(m)
	return true
}

// publish hands the event of a stored message to the event log.
func (c *Committer) publish(m *Message) bool {
	c.Log.Publish(m)
	return true
}

// remove takes back the object of a message whose event the log can never take. One
// that shares its object with others stays.
func (c *Committer) remove(m *Message) {
	if store, ok := c.Store.(RemovingStore); ok && m.Result.Blob.Container == "" {
		store.Remove(m.Result.Blob.Key)
	}
}

var errEventTooLarge = errors.New(
	"the event log does not take an event of this size (max.message.bytes of its topic)")

// EventTooLarge returns the failure of a message whose event may have size bytes where the
// log takes at most limit.
func EventTooLarge(size, limit int64) error {
	return &Failure{
		Kind: KindEventTooLarge, Op: "event",
		Err: fmt.Errorf("up to %d bytes, and the log takes %d: %w", size, limit, errEventTooLarge),
	}
}

var errOverdue = errors.New("no answer in time")

// Overdue returns the failure of a message whose stage had no result in time.
func Overdue(stage Stage) error {
	return &Failure{Kind: KindTimeout, Op: stage.String(), Err: errOverdue}
}

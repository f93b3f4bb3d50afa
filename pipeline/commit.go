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
	// Orphaned is called for an object whose event is certainly not in the log and will
	// not be: removed if its removal has begun, kept if it shares its object with others
	// or the store removes none.
	Orphaned(fate string)
}

// Watcher learns of each result of a stage of ObservedStages, whether or not its sender
// still waits for it, with the time that it took. Its method is called on event loops.
type Watcher interface {
	Result(stage Stage, err error, took time.Duration)
}

// way is the order of the stages of a complete message, from its final dot to its
// outcome; the meaning of 250 rests on it. begin starts a stage and reports whether
// the message must wait for a result of it. The verdict stands in the header, which
// StageStoring writes.
var way = [...]wayStage{
	{StageParts, (*Committer).awaitParts, false},
	{StageVerifying, (*Committer).awaitVerdict, true},
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
	Watcher  Watcher // nil for none
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
	m.Took[m.Stage] = now.Sub(m.StageAt)
	c.observe(i, m)
	if m.orphaned() {
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
func (c *Committer) observe(i int, m *Message) {
	if !way[i].observed {
		return
	}
	stage, result, took := m.Stage.String(), KindOf(m.Result.Err).String(), m.Took[m.Stage]
	if c.Watcher != nil {
		c.Watcher.Result(m.Stage, m.Result.Err, took)
	}
	switch {
	case m.Detached():
		c.Observer.LateResult(stage, result)
	default:
		c.Observer.StageDone(stage, result, took.Seconds())
	}
}

// awaitParts waits for the parts that are being uploaded.
func (c *Committer) awaitParts(m *Message) bool { return m.Parts.Out > 0 }

// awaitVerdict waits for what the verifier makes of a message.
func (c *Committer) awaitVerdict(m *Message) bool { return m.Verified() }

// store writes the header of a message and hands both to the object store.
func (c *Committer) store(m *Message) bool {
	m.Header = m.Verification.appendField(m.Header[:0])
	m.Header = AppendTrace(m.Header, m)
	m.Header = AppendSeparator(m.Header, &m.Body)
	c.Store.Put(m)
	return true
}

// publish hands the event of a stored message to the event log.
func (c *Committer) publish(m *Message) bool {
	c.Log.Publish(m)
	return true
}

// orphaned reports whether a message that returns from a stage has an object whose event
// is certainly not in the log and will not be: it was never handed to the log, or had no
// effect there. After a timeout the event may be in the log, and its object must stay.
func (m *Message) orphaned() bool {
	switch m.Stage {
	case StageStoring:
		return m.Result.Err == nil && m.Detached()
	case StagePublishing:
		return HadNoEffect(m.Result.Err)
	}
	return false
}

// remove takes back the object of an orphan. One that shares its object with others stays.
func (c *Committer) remove(m *Message) {
	store, ok := c.Store.(RemovingStore)
	if !ok || m.Result.Blob.Container != "" {
		c.Observer.Orphaned("kept")
		return
	}
	store.Remove(m.Result.Blob.Key)
	c.Observer.Orphaned("removed")
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

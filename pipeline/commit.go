package pipeline

import (
	"errors"
	"fmt"
	"time"
)

// Observer counts the steps of messages. Its methods are called on event loops.
type Observer interface {
	// StepDone: step is store or publish, result ok or a kind of failure.
	StepDone(step, result string, seconds float64)
	// LateResult: the step was answered after the sender had another answer or was gone.
	LateResult(step, result string)
}

// Committer takes complete messages through the object store and then the
// event log: the order that the meaning of 250 rests on. It is a state machine
// without threads: Commit starts a message, and each time the message comes home
// Advance takes it a stage further. It keeps no state of its own, so every event
// loop may call it.
type Committer struct {
	Store    ObjectStore
	Log      EventLog
	Observer Observer
	// Bucket is what events call the store's bucket: it counts in their size.
	Bucket string
}

// EventLimit returns the most octets (Message.EventBound) that an event may have so
// that the log can take it, 0 when that is not known.
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

// Commit hands a complete message to the object store.
func (c *Committer) Commit(m *Message, now time.Time) {
	m.Stage, m.StepAt = StageStoring, now
	c.Store.Put(m)
}

// Advance takes the result with which a message came home from a stage that
// Commit or Advance began. done says that the message is at its end, with its
// outcome in m.Err; else it is under way again. A forsaken message is not
// published: its sender will send it again, and an object without an event is
// cheaper than a message twice.
func (c *Committer) Advance(m *Message, now time.Time) (done bool) {
	if m.Stage == StagePublishing && KindOf(m.Err) == KindEventTooLarge {
		c.remove(m)
	}
	step := m.Stage.String()
	result := KindOf(m.Err).String()
	if m.Detached() {
		c.Observer.LateResult(step, result)
		m.Stage = StageDone
		return true
	}
	c.Observer.StepDone(step, result, now.Sub(m.StepAt).Seconds())
	if m.Err != nil || m.Stage == StagePublishing {
		m.Stage = StageDone
		return true
	}
	m.Stage, m.StepAt = StagePublishing, now
	c.Log.Publish(m)
	return false
}

// remove takes back the object of a message whose event the log can never take. One
// that shares its object with others stays.
func (c *Committer) remove(m *Message) {
	if store, ok := c.Store.(RemovingStore); ok && m.Blob.Container == "" {
		store.Remove(m.Blob.Key)
	}
}

var errEventTooLarge = errors.New("the event log does not take an event of this size (max.message.bytes of its topic)")

// EventTooLarge returns the failure of a message whose event may have size octets
// where the log takes limit.
func EventTooLarge(size, limit int64) error {
	return &Failure{
		Kind: KindEventTooLarge, Op: "event",
		Err: fmt.Errorf("up to %d octets, and the log takes %d: %w", size, limit, errEventTooLarge),
	}
}

var errOverdue = errors.New("no answer in time")

// Overdue is the failure of a message whose stage was not answered in time.
func Overdue(stage Stage) error {
	return &Failure{Kind: KindTimeout, Op: stage.String(), Err: errOverdue}
}

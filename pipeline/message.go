package pipeline

import (
	"time"

	"sluice/codec"
)

// Stage is the stage of processing in which a message is.
type Stage uint8

const (
	// StageEnvelope is the stage of MAIL and RCPT.
	StageEnvelope Stage = iota
	// StageCredit is the wait in the CreditQueue.
	StageCredit
	// StageReceiving is the stage of DATA.
	StageReceiving
	// StageParts is the wait for parts in flight, after the final dot.
	StageParts
	// StageVerifying is the wait for the verdict of the Verifier.
	StageVerifying
	// StageStoring is the wait for the object store.
	StageStoring
	// StagePublishing is the wait for the event log.
	StagePublishing
	// StageDone is that of a message with its outcome.
	StageDone
)

var stageNames = [...]string{"envelope", "credit", "receiving", "parts", "verify", "store", "publish", "done"}

// String returns the stage as a label of a bounded set.
func (s Stage) String() string { return stageNames[s] }

// Message is one mail transaction from MAIL to its reply: the pooled object that holds all
// of a transaction's state. It belongs to the event loop of its session. The contracts of
// ObjectStore and EventLog say which fields an adapter may read, and when.
type Message struct {
	Task            // takes the message to its loop
	Loop     Poster // the loop of its session
	OnResult func() // what the task does at that loop
	Owner    any    // the session's connection, for the loop alone

	Stage    Stage
	ID       ID
	Envelope Envelope
	Client   Client
	Gateway  string // the host name under which Sluice took the message

	Memory Memory

	Decoder codec.BodyDecoder
	Body    Body
	Parts   Parts
	Decoded int64 // bytes decoded so far, including discarded ones
	Rate    Rate
	Report  codec.BodyReport
	Header  []byte // the trace fields and separator that Sluice writes on top
	Summary HeaderSummary
	// Verdicts are for the event; nil where verification is off.
	Verdicts     *Verdicts
	Verification *Verification // nil where nothing was verified yet

	ReceivedAt time.Time                // the final dot
	StageAt    time.Time                // when the stage in flight began
	Took       [StageDone]time.Duration // how long each stage took that had its result
	Result     Result

	idText   [36]byte
	detached bool // whether its session no longer waits
}

// Memory counts the bytes of the budget that a message holds and requests.
type Memory struct {
	Credit   int64         // held for the body, the current part excepted
	Wanted   int64         // wanted by the session before 354
	Request  CreditRequest // pending when the budget had too little
	Booked   int64         // expected to be taken for the body beyond Credit
	Envelope int64         // held for a long envelope
	// EnvelopeSince is the tick since which it holds any for its envelope.
	EnvelopeSince int64
	Mark          Mark
}

// Mark is the start of the measurement of what a message makes of its memory.
type Mark struct {
	Received int64 // bytes received by then, of the envelope or the text
	Tick     int64
}

// Parts is the state of a message that is uploaded in parts.
type Parts struct {
	Upload  any   // the PartStore's state, nil before the first PutPart
	Current *Part // the part that is being filled, nil while it is the first
	Begun   int   // parts begun, the first not counted
	Out     int   // parts in flight: full, and without the store's result
	// Held are those of them that the store gets once the header was read.
	Held []*Part
}

// Rate is the start of the measurement of a sender's rate. A sender that is too slow from
// there on is cut off.
type Rate struct {
	Decoded int64 // bytes decoded at that time
	Since   int64 // the tick, 0 for none
}

// Result is the outcome of the stages of a message.
type Result struct {
	Blob   Blob     // the place of the stored message
	Digest Digest   // of the stored message
	Event  Position // of the published event
	Err    error    // the failure of the last stage
}

// Position is the place of an event in the event log.
type Position struct {
	Topic     string // empty if the log has no positions
	Partition int32
	Offset    int64
}

// Reset empties the message for its next use and keeps its buffers. Its body must have
// been released and its credit given back.
func (m *Message) Reset() {
	m.Envelope.Reset()
	m.Stage, m.ID, m.Client = StageEnvelope, ID{}, Client{}
	m.Memory.Wanted, m.Memory.Mark, m.Decoded = 0, Mark{}, 0
	m.Task.Run, m.Owner = m.OnResult, nil
	m.Decoder, m.Report = codec.BodyDecoder{}, codec.BodyReport{}
	m.Header = m.Header[:0]
	m.Summary.reset()
	m.Verdicts = nil
	m.Verification.reset()
	m.ReceivedAt, m.StageAt, m.Took = time.Time{}, time.Time{}, [StageDone]time.Duration{}
	m.Result, m.Parts, m.Rate = Result{}, Parts{}, Rate{}
	m.detached = false
}

// Detach parts the message from its session, which no longer waits for the outcome: its
// sender had another answer or is gone. The message still returns to its loop once. A
// message that is not in flight must not be detached but freed.
func (m *Message) Detach() { m.detached = true }

// Detached reports whether Detach was called since Reset.
func (m *Message) Detached() bool { return m.detached }

// InFlight reports whether the store, the log, the verifier or the credit queue holds the
// message or pieces of it, so that it, or the last of these, will return by the inbox of
// its loop.
func (m *Message) InFlight() bool {
	// Between these two stages stand those in which a port holds the message.
	return m.Memory.Request.InFlight() || m.Parts.Out > 0 || m.Verification.reads() ||
		m.Stage > StageVerifying && m.Stage < StageDone
}

// Stored takes the result of Put and sends the message to its loop. It is called once.
func (m *Message) Stored(blob Blob, digest Digest, err error) {
	m.Result = Result{Blob: blob, Digest: digest, Err: err}
	m.Loop.Post(&m.Task)
}

// Published takes the result of Publish, with the position of the event if it has one, and
// sends the message to its loop. It is called once.
func (m *Message) Published(at Position, err error) {
	m.Result.Event, m.Result.Err = at, err
	m.Loop.Post(&m.Task)
}

// IDText returns the id's text form, valid until the message is reset.
func (m *Message) IDText() []byte { return m.ID.Append(m.idText[:0]) }

// Length returns the size of the stored message in bytes.
func (m *Message) Length() int64 { return int64(len(m.Header)) + m.Body.Size() }

// AppendKey appends the object key of an id to dst: YYYY/MM/DD/HH/<id>.eml, in UTC from
// the id's own timestamp.
func AppendKey(dst []byte, id ID) []byte {
	dst = AppendFolder(dst, id.Time())
	dst = id.Append(dst)
	return append(dst, ".eml"...)
}

// AppendFolder appends the prefix of the keys of at's hour, in UTC, to dst.
func AppendFolder(dst []byte, at time.Time) []byte {
	return at.UTC().AppendFormat(dst, "2006/01/02/15/")
}

// Key returns the message's object key.
func (m *Message) Key() string { return string(AppendKey(nil, m.ID)) }

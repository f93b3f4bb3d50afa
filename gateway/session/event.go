package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// EventKind is what happened.
type EventKind uint8

const (
	// Opened: the client is there and may be greeted.
	Opened EventKind = iota
	// Commanded: a command line has come.
	Commanded
	// InputBehindData: DATA was refused and input stands behind it.
	InputBehindData
	// InputAhead: input has come while the session waits, and there is no memory
	// to keep it.
	InputAhead
	// NotPaused: the session had to wait without reading, and could not.
	NotPaused
	// CreditGranted: the body memory that was asked for is there.
	CreditGranted
	// BodyEnded: the final dot has come. Message.Err says why the message
	// cannot be taken, if so.
	BodyEnded
	// BodyOverflowed: the message went on to twice the size limit.
	BodyOverflowed
	// Outcome: the message that was committed has its outcome, in Message.Err.
	Outcome
	// TimedOut: the deadline of the phase has passed.
	TimedOut
	// Exhausted: too much was refused, and the last refusal has been answered.
	Exhausted
	// Drained: the process shuts down and wants the session to end soon.
	Drained
)

// Event is one thing that happened to a session.
type Event struct {
	Kind    EventKind
	Command codec.Command // of Commanded
	// NoMemory says that there is none for a longer envelope.
	NoMemory bool
	// Shed is the pressure on the pipeline for which this session is to go, so that
	// no transaction begins; empty when it may stay.
	Shed string
	Err  error // of NotPaused
	// EventLimit is the most octets of an event that the log can take (RCPT and
	// BodyEnded), 0 while that is not known.
	EventLimit int64
}

// Do is what the driver does for a session besides sending its reply.
type Do uint8

const (
	// DoNothing: the reply is all.
	DoNothing Do = iota
	// DoCredit: ask for the transaction's Wanted octets of body memory.
	DoCredit
	// DoReceive: what follows is mail text.
	DoReceive
	// DoCommit: store and publish the transaction's message.
	DoCommit
	// DoRelease: let go of Actions.Message.
	DoRelease
)

// Actions are what a Step wants done, in this order: the reply is sent, then Do.
type Actions struct {
	// Reply is nil when there is nothing to say yet.
	Reply *codec.Reply
	// Arg stands behind the reply's text, valid until the next Step.
	Arg []byte
	Do  Do
	// Message is the transaction that the session has let go of, for DoRelease.
	Message *pipeline.Message
	// Err is what lies behind a refusal, for the log.
	Err error
	// Leniency is what was taken against the grammar of paths, to be counted.
	Leniency codec.Leniency
}

// Phase is what a session waits for.
type Phase uint8

const (
	// PhaseCommand reads commands.
	PhaseCommand Phase = iota
	// PhaseCredit waits for body memory; input stays unread.
	PhaseCredit
	// PhaseBody reads mail text.
	PhaseBody
	// PhaseOutcome waits for the store and the log; input stays unread.
	PhaseOutcome
	// PhaseClosed has said its last word.
	PhaseClosed
)

var phaseNames = [...]string{"command", "credit", "body", "outcome", "closed"}

// String gives the phase as a bounded label.
func (p Phase) String() string { return phaseNames[p] }

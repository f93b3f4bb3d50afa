package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// EventKind is the kind of an Event.
type EventKind uint8

const (
	// Opened means that the client is connected and may be greeted.
	Opened EventKind = iota
	// Commanded brings a command line.
	Commanded
	// Responded brings a line of an exchange of AUTH.
	Responded
	// Judged brings the answer to an attempt to authenticate.
	Judged
	// InputBehindData means that DATA was refused and more input came with it.
	InputBehindData
	// InputAhead means that input has arrived while the session waits, and that there is
	// no memory to keep it.
	InputAhead
	// PauseFailed means that the session had to stop reading while it waits, and could not.
	PauseFailed
	// CreditGranted means that the requested body memory is available.
	CreditGranted
	// BodyEnded means that the final dot has arrived. Message.Result.Err is set if the
	// message cannot be accepted.
	BodyEnded
	// BodyOverflowed means that the message reached twice the size limit.
	BodyOverflowed
	// Outcome means that the committed message has its outcome, in Message.Result.Err.
	Outcome
	// TimedOut means that the deadline of the phase has passed.
	TimedOut
	// Exhausted means that a limit of refusals is reached and the last refusal is
	// answered.
	Exhausted
	// Drained means that the process shuts down and the session should end soon.
	Drained
)

// Event is the input of one Step of a session.
type Event struct {
	Kind    EventKind
	Command codec.Command // for Commanded; for Responded its Arg and Fault
	Answer  Answer        // for Judged
	// NoMemory means that there is no memory for a longer envelope.
	NoMemory bool
	// Shed is the cause for which the pressure gate sheds this session, so that no
	// transaction begins (MAIL) or no text is received (DATA). It is empty when the
	// session may stay.
	Shed string
	Err  error // for PauseFailed
	// Ahead means that more input came with STARTTLS, and Busy that no handshake may begin
	// now.
	Ahead, Busy bool
	// Settings are the newest for HELO, EHLO and Opened; nil keeps those of the session.
	Settings *Settings
	// EventLimit is the largest event in bytes that the log accepts (RCPT and BodyEnded),
	// 0 while unknown.
	EventLimit int64
}

// Do is the work of the driver for a session, apart from sending its reply.
type Do uint8

const (
	// DoNothing means that the reply is all.
	DoNothing Do = iota
	// DoCredit requests the transaction's Wanted bytes of body memory.
	DoCredit
	// DoReceive means that the input that follows is mail text.
	DoReceive
	// DoCommit stores and publishes the transaction's message.
	DoCommit
	// DoReadmit admits the connection anew: its client is another now. The session is
	// opened after that, or abandoned.
	DoReadmit
	// DoSecure begins TLS behind the reply.
	DoSecure
	// DoAuthenticate has the session's credentials judged.
	DoAuthenticate
	// DoRelease releases Actions.Message.
	DoRelease
)

// Actions are the results of a Step, in this order: the driver sends the reply, then
// executes Do.
type Actions struct {
	// Reply is nil if there is nothing to send yet.
	Reply *codec.Reply
	// Arg follows the text of the reply. It is valid until the next Step.
	Arg []byte
	Do  Do
	// Message is the message of the transaction that has ended, for DoRelease.
	Message *pipeline.Message
	// Err is the error behind a refusal, for the log.
	Err error
	// Leniency is the departure from the grammar of paths that was accepted, to be
	// counted.
	Leniency codec.Leniency
}

// Phase says what a session waits for.
type Phase uint8

const (
	// PhaseCommand waits for commands.
	PhaseCommand Phase = iota
	// PhaseCredit waits for body memory; input stays unread.
	PhaseCredit
	// PhaseBody receives mail text.
	PhaseBody
	// PhaseOutcome waits for the object store and the event log; input stays unread.
	PhaseOutcome
	// PhaseResponse waits for a line of the client in an exchange of AUTH.
	PhaseResponse
	// PhaseAuth waits for the answer to an attempt to authenticate; input stays unread.
	PhaseAuth
	// PhaseClosed means that the closing reply was given.
	PhaseClosed
)

var phaseNames = [...]string{"command", "credit", "body", "outcome", "response", "auth", "closed"}

// String returns the phase as a bounded label.
func (p Phase) String() string { return phaseNames[p] }

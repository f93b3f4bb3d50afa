package driver

import (
	"net/netip"

	"sluice/pipeline"
)

// Observer counts what happens to sessions and messages. Its methods are
// called on event loops: they must not block, lock or allocate. All labels
// are bounded: they come from the reply catalogue, the gate or constants.
type Observer interface {
	// SessionOpened is called once for each session that got a 220 greeting.
	SessionOpened()
	// SessionRefused is called once for each connection answered 421 in place
	// of the greeting.
	SessionRefused(cause string)
	// SessionShed is called once for each session that the gate had answered 421,
	// in place of the greeting or at MAIL, with the gate's cause.
	SessionShed(cause string)
	// SessionClosed is called once for each opened session. end is one of
	// quit, client, refused, stalled, error.
	SessionClosed(seconds float64, end string)
	// Reply is called for each reply that was given.
	Reply(code int, cause string)
	// LenientPath is called for each path of MAIL or RCPT that was taken against the
	// grammar; kind is no_brackets, dots or no_brackets_dots.
	LenientPath(kind string)
	// MessageDone is called once for each message whose DATA was granted a
	// 354, with the octets received. result is accepted or the cause of the
	// refusal; seconds run from the final dot to the answer, negative when no
	// final dot was seen.
	MessageDone(result string, octets int64, seconds float64)
	// StepDone is called when the object store or the event log answered;
	// step is store or publish, result is ok or a kind of failure.
	StepDone(step, result string, seconds float64)
	// LateResult is called when the store or the log answered after the
	// sender had its 451 or was gone. A late publish is an expected duplicate,
	// a late store an object without an event.
	LateResult(step, result string)
	// CreditWaited is called when a message that had to wait for body memory
	// got it or did not; result is granted, refused or gone.
	CreditWaited(result string, seconds float64)
	// SessionPaused is called when a session stops reading from its client;
	// waitsFor is client (it does not read our replies), credit (before 354),
	// memory (for a message that grows) or outcome.
	SessionPaused(waitsFor string)
	// SessionResumed is called when a paused session reads on or ends.
	SessionResumed()
	// LoopDelay is called at each tick of each loop with the time between the
	// tick's request and its execution.
	LoopDelay(seconds float64)
	// Panicked is called when a handler panicked and its session was ended.
	Panicked(where string)
}

// Journal writes the log lines of the mail path. Its methods are called on
// event loops: they must not block; a line that finds no room is dropped and
// counted. A *Refusal, *Loss or *Acceptance is valid during the call only.
type Journal interface {
	Refused(r *Refusal)
	// LeftOut says at the end of a session how many refusals since the last Refused
	// were too many for the log.
	LeftOut(client netip.AddrPort, refusals int)
	// Lost is called for a message that had been granted its 354 and whose session
	// ended before its answer.
	Lost(l *Loss)
	Accepted(a *Acceptance)
	Panicked(where string, reason any, stack []byte)
}

// Refusal is one reply of 4xx or 5xx.
type Refusal struct {
	Client   netip.AddrPort
	Helo     string
	MailFrom []byte // empty before MAIL and for the null reverse path
	// To is the recipient that was refused, as it was written, or the first one of the
	// message; Recipients are those that the message had by then.
	To         []byte
	Recipients int
	Verb       string // the command refused, or greeting, message, session
	Message    string // message id, empty before DATA
	Code       int
	Enhanced   string
	Cause      string
	Pressure   string // the gate's cause when it was the gate that refused, else empty
	Err        error  // what lies behind it; never shown to the client
	LeftOut    int    // refusals of this session before it that were too many for the log
}

// Loss is one message without an answer.
type Loss struct {
	Client     netip.AddrPort
	Helo       string
	MailFrom   []byte
	To         []byte // its first recipient
	Recipients int
	Message    string // message id
	Octets     int64  // received
	Stage      string // where it stood
	End        string // how its session ended
}

// Acceptance is one message answered 250.
type Acceptance struct {
	Client     netip.AddrPort
	Helo       string
	MailFrom   []byte
	Recipients int
	Message    *pipeline.Message
	Octets     int64
	Seconds    float64 // from the final dot to the answer
}

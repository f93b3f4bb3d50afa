// Package driver holds connections. It turns what a reactor reports into session
// events and carries out the actions that sessions return. Each Loop belongs to one
// thread of the reactor and is deterministic: its clock, its random numbers and its
// sockets are ports, so that a simulator can drive the same code.
package driver

import (
	"net/netip"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// Socket is one connection of the reactor. Its methods are called on the loop that
// owns the connection. After Close they do nothing: the reactor guards against a
// descriptor that the kernel has given to another connection meanwhile.
type Socket interface {
	// Input returns all bytes that have come and were not discarded. They are valid
	// until Discard or the end of the callback.
	Input() []byte
	// Discard drops the first n bytes of Input, 0 < n <= len(Input()).
	Discard(n int)
	// Write writes as much of p as the kernel takes now. n < len(p) without an error
	// means that the kernel's buffer is full.
	Write(p []byte) (n int, err error)
	// Pause stops reading, so that what the client sends stays with the kernel and
	// then with the client. What was read stays in Input. After an error the
	// connection goes on as before. A reset is not noticed during a pause.
	Pause() error
	// Resume ends a pause. Loop.Traffic is called when the connection is back,
	// Loop.Closed when it broke meanwhile. An error means that it is broken.
	Resume() error
	// CloseWrite sends the end of our stream and leaves the other half open.
	CloseWrite()
	// DropUnsent has Close reset the connection. Otherwise the kernel keeps for minutes
	// what a client does not read.
	DropUnsent()
	// Close ends the connection. Loop.Closed is not called for it.
	Close()
}

// Random is the port for randomness, one for each loop.
type Random = pipeline.Random

// Clock is the port for time.
type Clock interface {
	// Now returns the present time with a monotonic reading.
	Now() time.Time
}

// Waker makes the reactor call Loop.Run soon. It may be called from any goroutine.
type Waker interface {
	Wake()
}

// Gate decides which sessions are shed while the pipeline is under pressure. Its
// methods are called on event loops: they must not block, lock or allocate.
type Gate interface {
	// ClassOf returns the class of a client by its address.
	ClassOf(client netip.Addr) uint8
	// Authenticated returns the class of a client of a class once it has authenticated.
	Authenticated(class uint8) uint8
	// Shed reports whether a session of a class is shed now, and the cause, which is
	// bounded and not empty then. draw is the session's own number, drawn once when
	// the session opens. So pressure that holds sheds the same share of sessions, and
	// does not kill every long one in the end.
	Shed(class uint8, draw uint16) (cause string, shed bool)
	// Admit is asked at DATA. It returns the cause for which no text may be received now,
	// because it could not be stored or published; the cause is bounded. trial marks one
	// of the few messages that are let through to see whether that is still so.
	Admit() (cause string, trial bool)
	// MayStore reports whether a message that is no trial, and whose text has come, may
	// be stored now: its event could be published.
	MayStore() bool
}

// Observer counts what happens to sessions and messages. Its methods are called on
// event loops: they must not block, lock or allocate. All labels are bounded: they
// come from the reply catalogue, the gate or constants.
type Observer interface {
	// SessionOpened is called once for each session that got a 220 greeting.
	SessionOpened()
	// ProxyRefused is called once for each connection that was closed for want of a valid
	// PROXY header. cause is one of ProxyCauses.
	ProxyRefused(cause string)
	// TLSDone is called once for each handshake that succeeded.
	TLSDone(version string, resumed bool)
	// TLSFailed is called once for each connection whose TLS failed, by a cause of
	// TLSCauses.
	TLSFailed(cause string)
	// Authenticated is called once for each attempt to authenticate that was answered.
	// backend is whose verdict it was, "" for nobody's, and reason is why the client was
	// not accepted, "" if it was. Both are bounded.
	Authenticated(backend, reason string)
	// SessionRefused is called once for each connection answered 421 in place
	// of the greeting.
	SessionRefused(cause string)
	// SessionShed is called once for each session that the gate had answered 421,
	// in place of the greeting or at MAIL, with the gate's cause.
	SessionShed(cause string)
	// SessionClosed is called once for each opened session. end is one of
	// quit, client, refused, stalled, stalled_sessions, tls, error.
	SessionClosed(seconds float64, end string)
	// Reply is called for each reply that was given.
	Reply(code int, cause string)
	// LenientPath is called for each path of MAIL or RCPT that was taken against the
	// grammar. kind is no_brackets, dots or no_brackets_dots.
	LenientPath(kind string)
	// MessageDone is called once for each message whose DATA was granted a 354, with
	// the bytes received. result is accepted or the cause of the refusal. seconds
	// run from the final dot to the answer; they are negative when there was no
	// final dot.
	MessageDone(result string, octets int64, seconds float64)
	// An Observer of the pipeline has the results of the stages. A late publish is an
	// expected duplicate, a late store an object without an event.
	pipeline.Observer
	// CreditWaited is called when the wait of a message for body memory ends.
	// result is granted, refused or gone.
	CreditWaited(result string, seconds float64)
	// MemoryRelieved is called when the memory of a message is taken back, because
	// others need it and it hardly gets on. sending is envelope, body, or verdict for one
	// that waits for that.
	MemoryRelieved(sending string)
	// SessionPaused is called when a session stops reading from its client.
	// waitsFor is client (it does not read our replies), credit (before 354),
	// memory (for a message that grows), handshake, or outcome (of a message or a call).
	SessionPaused(waitsFor string)
	// SessionResumed is called when a paused session reads on or ends.
	SessionResumed()
	// LoopDelay is called at each tick of each loop with the time between the
	// tick's request and its execution.
	LoopDelay(seconds float64)
	// Panicked is called when a handler panicked and its session was ended.
	Panicked(where string)
}

// MailLog writes the log lines of the mail path. Its methods are called on event
// loops: they must not block; a line that finds no room is dropped and counted. A
// *Refusal, *Loss, *Login or *Acceptance is valid during the call only.
type MailLog interface {
	Refused(r *Refusal)
	// LeftOut is called at the end of a session with the number of refusals since
	// the last Refused that were too many for the log.
	LeftOut(id session.ID, client netip.AddrPort, refusals int)
	// Lost is called for a message that had been granted its 354 and whose session
	// ended before its answer.
	Lost(l *Loss)
	// LoggedIn is called for a client that has authenticated.
	LoggedIn(l *Login)
	Accepted(a *Acceptance)
	// Panicked is called for a panic in the turn of a session, 0 for none.
	Panicked(id session.ID, where string, reason any, stack []byte)
}

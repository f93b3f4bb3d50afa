package pipeline

import "errors"

// Kind classifies a failure by its meaning to the sender. One table in gateway/session
// maps it to an SMTP reply.
type Kind uint8

const (
	// KindNone is no failure.
	KindNone Kind = iota
	// KindTemporary may pass by itself: 451 4.3.0. Errors of no stated kind are temporary.
	KindTemporary
	// KindTimeout is a deadline of ours that passed: 451 4.3.0 with a cause of its own.
	KindTimeout
	// KindFull is a store without space: 452 4.3.1.
	KindFull
	// KindMemory is body memory that could not be had: 452 4.3.1.
	KindMemory
	// KindTooLarge is a message over the size limit: 552 5.3.4.
	KindTooLarge
	// KindEventTooLarge is a message whose event the log can never take: 552 5.3.4.
	KindEventTooLarge
	// KindLoop is a message with too many Received fields: 554 5.4.6.
	KindLoop
	// KindPolicy is a message that policy refuses: 550 5.7.1.
	KindPolicy
	// KindSmuggling is a message with a bare CR, a bare LF or a NUL, in which a second
	// message could hide from us: 554 5.6.0.
	KindSmuggling
	// KindPermanent will not pass by trying again: 554 5.3.0.
	KindPermanent
	// KindDMARC is a message that the domain of its author wants refused: 550 5.7.1.
	KindDMARC
	// KindSPF is a message from a host that its sender's domain does not send from: 550
	// 5.7.23.
	KindSPF
	// KindSPFError is a message of which that could not be found out for now: 451 4.7.24.
	KindSPFError
	// KindUnverified is a message that could not be verified for now: 451 4.7.0.
	KindUnverified
)

var kindNames = [...]string{
	"ok", "temporary", "timeout", "full", "memory", "too_large", "event_too_large", "loop",
	"policy", "smuggling", "permanent", "dmarc", "spf", "spf_error", "unverified",
}

// String returns the kind as a metric label of a bounded set.
func (k Kind) String() string { return kindNames[k] }

// Failure is an error of a stated kind. Op names the operation that failed, such as
// "dir: fsync". Err is the cause, for the log and never for the sender.
type Failure struct {
	Kind Kind
	Op   string
	Err  error
	// Told follows the text of the reply, such as a domain. It is safe to send.
	Told string
	// NoEffect says that what failed certainly did nothing and will do nothing: it was
	// refused, or never left the process. A timeout never says that.
	NoEffect bool
}

// Error returns the operation and its cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Op + ": " + f.Kind.String()
	}
	return f.Op + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// KindOf returns the kind of an error: KindNone for nil, KindTemporary for an error of no
// stated kind.
func KindOf(err error) Kind {
	if err == nil {
		return KindNone
	}
	var f *Failure
	if errors.As(err, &f) {
		return f.Kind
	}
	return KindTemporary
}

// Told returns what follows the text of the reply to a failure.
func Told(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Told
	}
	return ""
}

// HadNoEffect reports whether err says that what failed certainly had no effect. An event
// that the log can never take is one that it has refused.
func HadNoEffect(err error) bool {
	if err == nil {
		return false
	}
	var f *Failure
	return errors.As(err, &f) && (f.NoEffect || f.Kind == KindEventTooLarge)
}

// FailureKinds returns every kind but KindNone.
func FailureKinds() []Kind {
	kinds := make([]Kind, 0, len(kindNames)-1)
	for k := range kindNames[1:] {
		kinds = append(kinds, Kind(k+1))
	}
	return kinds
}

package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// What is absent, for errors.Is. Both come as a *net.DNSError with IsNotFound.
var (
	// ErrNoName says that the name does not exist (NXDOMAIN).
	ErrNoName = errors.New("no such name")
	// ErrNoData says that the name has no records of that type (NODATA).
	ErrNoData = errors.New("no such record")
)

// Why a lookup failed, for errors.Is. They come as a *net.DNSError with IsTemporary.
var (
	// ErrBusy says that too many queries are in flight.
	ErrBusy = errors.New("too many queries in flight")
	// ErrBudget says that the message has used up its lookups.
	ErrBudget = errors.New("too many lookups for one message")
	// ErrClosed says that the resolver was closed.
	ErrClosed = errors.New("the resolver is closed")
	// errBogus says that an answer cannot be used.
	errBogus = errors.New("unusable answer")
)

// refusal is a response code that is no answer.
type refusal string

func refusalOf(rcode int) refusal {
	if code := dns.RcodeToString[rcode]; code != "" {
		return refusal(code)
	}
	return refusal(fmt.Sprintf("code %d", rcode))
}

// refusalIn returns the refusal that a response is, "" if it is none.
func refusalIn(m *dns.Msg) refusal {
	if m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError {
		return ""
	}
	return refusalOf(m.Rcode)
}

func (r refusal) Error() string { return "the resolver answered " + string(r) }

// dnsError returns err as the libraries take it: bare, because some do not unwrap. What
// was looked up stays apart from the cause, so that one error serves all who wait for it.
func dnsError(name string, err error) *net.DNSError {
	e := &net.DNSError{Err: err.Error(), Name: name, UnwrapErr: err}
	switch {
	case errors.Is(err, ErrNoName) || errors.Is(err, ErrNoData):
		e.IsNotFound = true
	case timedOut(err):
		e.IsTimeout, e.IsTemporary = true, true
	default:
		e.IsTemporary = true
	}
	return e
}

// timedOut reports whether err is a deadline that passed.
func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// outcome returns the word of an error for metrics; there are the ones of Outcomes.
func outcome(err error) string {
	var refused refusal
	switch {
	case err == nil:
		return "found"
	case errors.Is(err, ErrNoName):
		return "nxdomain"
	case errors.Is(err, ErrNoData):
		return "nodata"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, ErrBudget):
		return "budget"
	case errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed):
		return "canceled"
	case timedOut(err):
		return "timeout"
	case errors.As(err, &refused):
		if refused == "SERVFAIL" {
			return "servfail"
		}
		return "refused"
	case errors.Is(err, errBogus):
		return "bogus"
	default:
		return "network"
	}
}

// Outcomes returns every outcome that an Observer may hear of.
func Outcomes() []string {
	return []string{
		"found", "nxdomain", "nodata", "servfail", "refused", "timeout", "network", "bogus", "busy", "budget", "canceled",
	}
}

// Package iprev finds the name of a client: one of its address's names in the DNS whose own
// addresses confirm it (RFC 8601 §2.7.3 and §3).
package iprev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Result is what RFC 8601 §2.7.3 calls so.
type Result string

// The results.
const (
	Pass      Result = "pass"      // a name has the address
	Fail      Result = "fail"      // the names have other addresses
	TempError Result = "temperror" // nobody knows, now
	PermError Result = "permerror" // the address has no name, or one without addresses
)

// Results returns every result.
func Results() []Result { return []Result{Pass, Fail, TempError, PermError} }

// Resolver is the DNS. Each method returns records or an error; one that is a *net.DNSError
// with IsNotFound says that there are none, and any other that nobody knows. Names that it
// returns have no dot at the end.
type Resolver interface {
	PTR(ctx context.Context, address netip.Addr) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
}

// Verdict is what is known about a client's name.
type Verdict struct {
	Result Result
	Name   string // in lower case, of letters, digits, "-", "_" and "."; empty: none is confirmed
	Reason string // why none is; for people, in printable ASCII
}

// maxNames is how many names of an address are looked up. Whoever has the address chooses
// them.
const maxNames = 10

// Check finds the name of a client. The first name that is confirmed counts.
func Check(ctx context.Context, r Resolver, client netip.Addr) Verdict {
	client = client.Unmap().WithZone("")
	names, err := r.PTR(ctx, client)
	switch {
	case isAbsent(err):
		return Verdict{Result: PermError, Reason: "the address has no name"}
	case err != nil:
		return unknown("the name of the address", err)
	}
	lookup := r.A
	if client.Is6() {
		lookup = r.AAAA
	}
	other := Verdict{Result: PermError, Reason: "no name of the address has addresses of its kind"}
	for _, name := range names[:min(len(names), maxNames)] {
		name = strings.ToLower(name)
		if !isHost(name) {
			continue
		}
		addresses, err := lookup(ctx, name)
		switch {
		case slices.Contains(addresses, client):
			return Verdict{Result: Pass, Name: name}
		case isAbsent(err):
		case err != nil:
			other = unknown(name, err)
		case other.Result != TempError: // which may hide the one that has it
			other = Verdict{Result: Fail, Reason: name + " has other addresses"}
		}
	}
	return other
}

func unknown(what string, err error) Verdict {
	text := err.Error()
	var bare *net.DNSError
	if errors.As(err, &bare) {
		text = bare.Err
	}
	return Verdict{Result: TempError, Reason: strings.Trim(fmt.Sprintf("%+q", what+": "+text), `"`)}
}

func isAbsent(err error) bool {
	var bare *net.DNSError
	return errors.As(err, &bare) && bare.IsNotFound
}

// isHost reports whether a name can be written where mail names hosts: a domain of two
// labels or more, of letters, digits, hyphens and underscores. It is not an address.
func isHost(name string) bool {
	if len(name) > 253 || strings.IndexByte(name, '.') < 0 {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Package spf evaluates SPF (RFC 7208): whether a domain lets an address send its mail.
//
// A record is parsed whole before anything of it is evaluated, and what it may look up is
// bounded. Explanations (exp=) are parsed and not fetched.
package spf

import (
	"context"
	"net"
	"net/netip"
	"strings"
)

// Result is what RFC 7208 §2.6 calls so.
type Result string

// The results.
const (
	None      Result = "none"      // the domain says nothing, or is none
	Neutral   Result = "neutral"   // the domain says that it says nothing
	Pass      Result = "pass"      // the address may
	Fail      Result = "fail"      // the address may not
	SoftFail  Result = "softfail"  // the address probably may not
	TempError Result = "temperror" // nobody knows, now
	PermError Result = "permerror" // the domain's records have an error
)

// Results returns every result.
func Results() []Result {
	return []Result{None, Neutral, Pass, Fail, SoftFail, TempError, PermError}
}

// Identity is which of a client's claims was checked, in the words of RFC 7208 §9.1.
type Identity string

// The identities.
const (
	MailFrom Identity = "mailfrom"
	HELO     Identity = "helo"
)

// Resolver is the DNS. Each method returns records or an error; one that is a *net.DNSError
// with IsNotFound says that there are none, and any other that nobody knows. Names that it
// returns have no dot at the end.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
	MX(ctx context.Context, name string) ([]net.MX, error)
	PTR(ctx context.Context, address netip.Addr) ([]string, error)
}

// Query is what a client claims.
type Query struct {
	Client netip.Addr
	HELO   string // the argument of HELO or EHLO
	Sender string // of MAIL FROM, without brackets, its domain in A-labels; empty: null
	// Trace hears of each record and term. It may be nil.
	Trace func(Step)
}

// Step is one thing that was done for a verdict.
type Step struct {
	Depth  int    // in how many includes and redirects
	Domain string // whose record
	Term   string // of the record; empty: the record itself
	Result string
}

// Verdict is what is known about a claim.
type Verdict struct {
	Result    Result
	Identity  Identity
	Domain    string // which was checked, in lower case; anything that the client said
	Mechanism string // that matched, as it stands in the record, at most 256 bytes; empty: none did
	Reason    string // why there is no other result; for people, in printable ASCII
}

// maxMechanism bounds what a verdict repeats of a record.
const maxMechanism = 256

// Check checks the identity MAIL FROM. The one of a null sender is postmaster at the HELO
// domain (RFC 7208 §2.4), and the verdict says that it is of HELO.
func Check(ctx context.Context, r Resolver, q Query) Verdict {
	if q.Sender == "" {
		return CheckHELO(ctx, r, q)
	}
	return newCheck(ctx, r, q, q.Sender).verdict(MailFrom)
}

// CheckHELO checks the identity HELO (RFC 7208 §2.3).
func CheckHELO(ctx context.Context, r Resolver, q Query) Verdict {
	return newCheck(ctx, r, q, "postmaster@"+q.HELO).verdict(HELO)
}

func newCheck(ctx context.Context, r Resolver, q Query, sender string) *check {
	local, domain := "", sender
	if at := strings.LastIndexByte(sender, '@'); at >= 0 {
		local, domain = sender[:at], sender[at+1:]
	}
	if local == "" { // RFC 7208 §4.3
		local = "postmaster"
	}
	return &check{
		ctx: ctx, dns: r, client: q.Client.Unmap().WithZone(""), helo: q.HELO, trace: q.Trace,
		local: local, origin: strings.TrimSuffix(domain, "."),
	}
}

func (c *check) verdict(identity Identity) Verdict {
	v := Verdict{Identity: identity, Domain: strings.ToLower(c.origin)}
	got := c.host(v.Domain, 0)
	v.Result, v.Reason = got.result, got.reason
	v.Mechanism = got.mechanism[:min(len(got.mechanism), maxMechanism)]
	return v
}

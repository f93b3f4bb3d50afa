// Package dmarc finds the policy of an author's domain and judges a message by it (RFC
// 9989).
package dmarc

import (
	"context"

	"sluice/gateway/verify/domain"
	"sluice/gateway/verify/txt"
)

// Verdict is what became of a message, in the words of RFC 9989 §9.1.
type Verdict uint8

const (
	// NoPolicy means that no record says anything about the domain.
	NoPolicy Verdict = iota
	// Pass means that a domain that was verified is aligned with the author's.
	Pass
	// Fail means that none is.
	Fail
	// TempError means that an answer of the DNS is missing without which nobody knows.
	TempError
	// PermError means that the message has no one domain of its author.
	PermError
)

// String returns the word of Authentication-Results.
func (v Verdict) String() string {
	if names := [...]string{"none", "pass", "fail", "temperror", "permerror"}; int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

// Check is the outcome of SPF, or of one DKIM signature.
type Check uint8

const (
	// CheckFailed is any outcome that verified no domain, and will not later either.
	CheckFailed Check = iota
	// CheckPassed verified the domain.
	CheckPassed
	// CheckUnknown may yet verify it.
	CheckUnknown
)

// Identifier is a domain that was checked.
type Identifier struct {
	Domain string // as domain.ASCII returns it
	Check  Check
}

// Message is what is judged.
type Message struct {
	// From is the domain of the author, as domain.ASCII returns it. It is empty where the
	// message has no one.
	From string
	SPF  Identifier
	DKIM []Identifier
}

// Result is a verdict and what it rests on.
type Result struct {
	Verdict Verdict
	// From is that of the message.
	From string
	// Organization is the organizational domain of From, or empty where it is unknown.
	Organization string
	// RecordDomain is where the record was found, or empty.
	RecordDomain string
	// Record is the record that was found.
	Record Record
	// Published is the policy of the record for this domain, Policy what is left of it
	// under t=y.
	Published, Policy Policy
	// Test reports whether the record says t=y.
	Test bool
	// SPFAligned and DKIMAligned report whether a domain that passed is aligned.
	SPFAligned, DKIMAligned bool
	// Signatures has for each of the message's DKIM whether it passed and is aligned.
	Signatures []bool
}

// evaluation judges one message.
type evaluation struct {
	ctx      context.Context
	resolver txt.Resolver
	from     walk
	unknown  bool // an answer that could change Fail is missing
}

// Evaluate judges a message. A walk up the tree asks for at most eight names, and domains
// that can not be aligned are not asked for.
func Evaluate(ctx context.Context, resolver txt.Resolver, m Message) Result {
	r := Result{From: m.From}
	if m.From == "" {
		r.Verdict = PermError
		return r
	}
	e := evaluation{ctx: ctx, resolver: resolver, from: climb(ctx, resolver, m.From)}
	p, ok := e.from.policy()
	switch {
	case ok && e.from.failed && p.domain != m.From:
		// A record further up may be the one that holds.
		r.Verdict = TempError
		return r
	case !ok && e.from.failed:
		r.Verdict = TempError
		return r
	case !ok || !p.record.usable():
		return r
	}
	r.RecordDomain, r.Record, r.Test = p.domain, p.record, p.record.Test
	if !e.from.failed {
		r.Organization = e.from.organization()
	}
	r.SPFAligned = e.aligned(m.SPF, p.record.StrictSPF)
	for _, id := range m.DKIM {
		// Each counts: an aligned one that is unknown leaves the verdict open.
		aligned := e.aligned(id, p.record.StrictDKIM)
		r.DKIMAligned = r.DKIMAligned || aligned
		r.Signatures = append(r.Signatures, aligned)
	}
	e.setPolicy(&r, p)
	switch {
	case r.SPFAligned || r.DKIMAligned:
		r.Verdict = Pass
	case e.unknown:
		r.Verdict = TempError
	default:
		r.Verdict = Fail
	}
	return r
}

// aligned reports whether a domain passed and is aligned with the author's (RFC 9989
// §4.4). A domain that is not aligned cannot leave the verdict open, whatever its DNS does.
func (e *evaluation) aligned(id Identifier, strict bool) bool {
	if id.Check == CheckFailed || id.Domain == "" || !e.matches(id.Domain, strict) {
		return false
	}
	if id.Check == CheckUnknown {
		e.unknown = true
		return false
	}
	return true
}

func (e *evaluation) matches(name string, strict bool) bool {
	from := e.from.start
	if name == from || strict {
		return name == from
	}
	if e.from.failed {
		// The organization is not known, but both would have to be below it.
		e.unknown = e.unknown || sameTop(name, from)
		return false
	}
	organization := e.from.organization()
	if !domain.Within(name, organization) {
		return false
	}
	w := climb(e.ctx, e.resolver, name)
	if w.failed {
		e.unknown = true
		return false
	}
	return w.organization() == organization
}

// setPolicy sets the policy that the record has for the domain.
func (e *evaluation) setPolicy(r *Result, p published) {
	switch {
	case p.domain == e.from.start:
		r.Published = p.record.Domain
	case !p.record.hasNP || p.record.Missing == p.record.Subdomains:
		r.Published = p.record.Subdomains
	default:
		// A domain exists unless the DNS says that it does not (RFC 9989 §3.2.12).
		_, outcome := e.resolver.LookupTXT(e.ctx, e.from.start)
		r.Published = p.record.Subdomains
		if outcome == txt.NXDomain {
			r.Published = p.record.Missing
		}
		e.unknown = e.unknown || outcome == txt.Failed
	}
	r.Policy = r.Published
	if r.Test {
		r.Policy = r.Published.lower()
	}
}

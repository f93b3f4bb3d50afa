package dmarc

import (
	"net/url"
	"strings"
)

// Policy is what the owner of a domain asks to be done with mail that fails.
type Policy uint8

const (
	// None asks for nothing.
	None Policy = iota
	// Quarantine asks to take the mail for suspicious.
	Quarantine
	// Reject asks to take the use of the domain for invalid.
	Reject
)

// String returns the word of p=.
func (p Policy) String() string {
	if names := [...]string{"none", "quarantine", "reject"}; int(p) < len(names) {
		return names[p]
	}
	return "unknown"
}

// lower returns the policy one level below, for t=y.
func (p Policy) lower() Policy {
	if p == None {
		return None
	}
	return p - 1
}

// psd is what a record says about its domain being a public suffix.
type psd uint8

const (
	psdUnknown psd = iota
	psdYes
	psdNo
)

// Record is a DMARC policy record (RFC 9989 §4.7).
type Record struct {
	// Domain, Subdomains and Missing are p=, sp= and np=, with their defaults.
	Domain, Subdomains, Missing Policy
	// Test is t=y: the policy is not to be applied in full.
	Test bool
	// StrictDKIM and StrictSPF are adkim=s and aspf=s.
	StrictDKIM, StrictSPF bool
	// Reports is rua=, as it was written.
	Reports string

	psd    psd
	hasNP  bool
	broken bool // p=, sp= or np= has a value that is none
}

// ParseRecord reads a record of text, and reports whether it is of DMARC: v=DMARC1 comes
// first. Of the rest, unknown tags and broken values are ignored. A tag that comes twice
// counts once, as it came first.
func ParseRecord(text string) (Record, bool) {
	version, rest, _ := strings.Cut(text, ";")
	name, value, _ := strings.Cut(version, "=")
	if trim(name) != "v" || trim(value) != "DMARC1" {
		return Record{}, false
	}
	tags := map[string]string{}
	for spec := range strings.SplitSeq(rest, ";") {
		name, value, ok := strings.Cut(spec, "=")
		name = trim(name)
		if _, twice := tags[name]; ok && !twice && known[name] {
			tags[name] = trim(value)
		}
	}
	r := Record{Reports: tags["rua"]}
	r.Test = strings.EqualFold(tags["t"], "y")
	r.StrictDKIM = strings.EqualFold(tags["adkim"], "s")
	r.StrictSPF = strings.EqualFold(tags["aspf"], "s")
	switch strings.ToLower(tags["psd"]) {
	case "y":
		r.psd = psdYes
	case "n":
		r.psd = psdNo
	}
	r.Domain, _ = r.policy(tags, "p", None)
	r.Subdomains, _ = r.policy(tags, "sp", r.Domain)
	r.Missing, r.hasNP = r.policy(tags, "np", r.Subdomains)
	return r, true
}

// known has the tags that count here. Others are unknown, of older standards, or about
// reports that Sluice does not send.
var known = map[string]bool{
	"p": true, "sp": true, "np": true, "t": true, "psd": true,
	"adkim": true, "aspf": true, "rua": true,
}

// policy returns that of a tag, or the other one, and reports whether the tag has one.
func (r *Record) policy(tags map[string]string, name string, otherwise Policy) (Policy, bool) {
	value, ok := tags[name]
	if !ok {
		return otherwise, false
	}
	for p := None; p <= Reject; p++ {
		if strings.EqualFold(value, p.String()) {
			return p, true
		}
	}
	r.broken = true
	return otherwise, false
}

// usable reports whether the record has a policy, which it sets to none where a broken one
// must be taken for it: where somebody wants reports (RFC 9989 §4.10.1). A record without
// p= is one of p=none (§4.7).
func (r *Record) usable() bool {
	if !r.broken {
		return true
	}
	r.Domain, r.Subdomains, r.Missing = None, None, None
	for address := range strings.SplitSeq(r.Reports, ",") {
		uri, err := url.Parse(trim(address))
		if err != nil || uri.Scheme == "" {
			continue
		}
		if strings.Contains(uri.Opaque, "@") || uri.Scheme != "mailto" && uri.Host != "" {
			return true
		}
	}
	return false
}

func trim(text string) string { return strings.Trim(text, " \t\r\n") }

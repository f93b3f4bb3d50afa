package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Limits of RFC 7208 §4.6.4.
const (
	maxTerms = 10 // that look up, over all records
	maxVoids = 2  // lookups that found nothing
	maxHosts = 10 // of one mx or ptr
)

// maxOctets bounds all records of one evaluation: whoever writes them has them parsed for
// each message (RFC 7208 §11.1). One record should have 450 (§3.4).
const maxOctets = 64 << 10

// check is one evaluation of the function check_host (RFC 7208 §4).
type check struct {
	ctx    context.Context
	dns    Resolver
	trace  func(Step)
	client netip.Addr
	helo   string
	local  string // of the sender
	origin string // domain of the sender

	terms, voids int
	octets       int      // of all records
	names        []string // of the client, confirmed by their addresses
	named        bool     // names is known
}

// outcome is a result with its reasons.
type outcome struct {
	result    Result
	mechanism string
	reason    string
}

// failure is an error that ends the evaluation.
type failure struct {
	result Result // TempError or PermError
	reason string
}

func (f *failure) Error() string { return f.reason }

func permanent(format string, args ...any) error {
	return &failure{PermError, fmt.Sprintf(format, args...)}
}

// errNoMatch says that a term cannot match.
var errNoMatch = errors.New("cannot match")

// host is check_host. It calls itself at most maxTerms deep.
func (c *check) host(domain string, depth int) outcome {
	got := c.evaluate(domain, depth)
	result := string(got.result)
	if got.reason != "" {
		result += ": " + got.reason
	}
	c.tell(Step{Depth: depth, Domain: domain, Result: result})
	return got
}

func (c *check) evaluate(domain string, depth int) outcome {
	if !isDomain(domain) {
		return outcome{result: None, reason: quote(domain) + " is not a domain"}
	}
	r, err := c.record(domain)
	if err != nil {
		return failed(err)
	}
	if r == nil {
		return outcome{result: None, reason: quote(domain) + " has no SPF record"}
	}
	for _, d := range r.directives {
		matched, err := c.match(d, domain, depth)
		if err != nil {
			c.tell(Step{Depth: depth, Domain: domain, Term: d.text, Result: err.Error()})
			return failed(err)
		}
		if matched {
			c.tell(Step{Depth: depth, Domain: domain, Term: d.text, Result: string(d.qualifier)})
			return outcome{result: d.qualifier, mechanism: d.text}
		}
		c.tell(Step{Depth: depth, Domain: domain, Term: d.text, Result: "no match"})
	}
	if r.redirect != nil {
		return c.redirect(r.redirect, domain, depth)
	}
	return outcome{result: Neutral, reason: "no mechanism matched"} // RFC 7208 §4.7
}

func (c *check) tell(s Step) {
	if c.trace != nil {
		c.trace(s)
	}
}

func failed(err error) outcome {
	var f *failure
	if errors.As(err, &f) {
		return outcome{result: f.result, reason: f.reason}
	}
	return outcome{result: TempError, reason: quote(err.Error())}
}

// record returns the record of a domain, or nil if it has none.
func (c *check) record(domain string) (*record, error) {
	texts, err := c.dns.TXT(c.ctx, domain)
	if err != nil {
		if isAbsent(err) {
			return nil, nil
		}
		return nil, unknown(domain, err)
	}
	found, count := "", 0
	for _, text := range texts {
		if isRecord(text) {
			found = text
			count++
		}
	}
	switch {
	case count == 0:
		return nil, nil
	case count > 1: // RFC 7208 §4.5
		return nil, permanent("%s has %d SPF records", quote(domain), count)
	}
	if c.octets += len(found); c.octets > maxOctets {
		return nil, permanent("more than %d KiB of records", maxOctets>>10)
	}
	r, err := parseRecord(found)
	if err != nil {
		return nil, permanent("the record of %s: %s", quote(domain), err)
	}
	return r, nil
}

// redirect evaluates the record of another domain in place of this one (RFC 7208 §6.1).
func (c *check) redirect(to domainSpec, domain string, depth int) outcome {
	if err := c.count(); err != nil {
		return failed(err)
	}
	target, err := c.expand(to, domain)
	if errors.Is(err, errNoMatch) {
		err = permanent("redirect to a name that cannot be")
	}
	if err != nil {
		return failed(err)
	}
	got := c.host(target, depth+1)
	if got.result == None {
		return outcome{result: PermError, reason: "redirect: " + got.reason}
	}
	return got
}

// match reports whether a mechanism matches (RFC 7208 §5).
func (c *check) match(d directive, domain string, depth int) (bool, error) {
	switch d.mechanism {
	case mechanismAll:
		return true, nil
	case mechanismIP4, mechanismIP6:
		return d.network.Contains(c.client), nil
	}
	if err := c.count(); err != nil {
		return false, err
	}
	target := domain
	if d.domain != nil {
		var err error
		switch target, err = c.expand(d.domain, domain); {
		case errors.Is(err, errNoMatch):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	switch {
	case d.mechanism == mechanismInclude:
		return c.include(target, depth)
	case !isName(target):
		return false, nil
	case d.mechanism == mechanismA:
		return c.matchHost(target, d)
	case d.mechanism == mechanismMX:
		return c.matchMX(target, d)
	case d.mechanism == mechanismPTR:
		return c.matchPTR(target)
	default: // exists: of IPv4, whatever the client's address is (RFC 7208 §5.7)
		found, err := c.dns.A(c.ctx, target)
		err = c.found(target, err)
		return len(found) > 0 && err == nil, err
	}
}

// count counts a term that looks up.
func (c *check) count() error {
	if c.terms++; c.terms > maxTerms {
		return permanent("more than %d terms that look up", maxTerms)
	}
	return nil
}

// found judges the error of a lookup. It returns nil for what is absent, which may be so
// for a few times.
func (c *check) found(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case !isAbsent(err):
		return unknown(name, err)
	}
	if c.voids++; c.voids > maxVoids {
		return permanent("more than %d lookups that find nothing", maxVoids)
	}
	return nil
}

// include evaluates the record of another domain (RFC 7208 §5.2).
func (c *check) include(target string, depth int) (bool, error) {
	switch got := c.host(target, depth+1); got.result {
	case Pass:
		return true, nil
	case Fail, SoftFail, Neutral:
		return false, nil
	case TempError:
		return false, &failure{TempError, "include: " + got.reason}
	default: // permerror and none
		return false, permanent("include: %s", got.reason)
	}
}

// matchHost reports whether the client is near an address of a name (RFC 7208 §5.3).
func (c *check) matchHost(name string, d directive) (bool, error) {
	bits := d.bits4
	if c.client.Is6() {
		bits = d.bits6
	}
	addresses, err := c.addresses(name)
	if err = c.found(name, err); err != nil {
		return false, err
	}
	for _, address := range addresses {
		if netip.PrefixFrom(address, bits).Contains(c.client) {
			return true, nil
		}
	}
	return false, nil
}

// addresses returns those of a name that are of the client's kind.
func (c *check) addresses(name string) ([]netip.Addr, error) {
	if c.client.Is6() {
		return c.dns.AAAA(c.ctx, name)
	}
	return c.dns.A(c.ctx, name)
}

// matchMX reports whether the client is near a host that takes the mail of a name
// (RFC 7208 §5.4).
func (c *check) matchMX(name string, d directive) (bool, error) {
	hosts, err := c.dns.MX(c.ctx, name)
	if err = c.found(name, err); err != nil {
		return false, err
	}
	if len(hosts) > maxHosts {
		return false, permanent("mx: %s has more than %d hosts", quote(name), maxHosts)
	}
	for _, host := range hosts {
		if !isName(host.Host) {
			continue // such as a null MX
		}
		if matched, err := c.matchHost(host.Host, d); matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// matchPTR reports whether a name of the client is the target or below it (RFC 7208 §5.5).
func (c *check) matchPTR(target string) (bool, error) {
	names, err := c.clientNames()
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if isBelow(name, target) {
			return true, nil
		}
	}
	return false, nil
}

// expand returns a domain with its macros replaced.
func (c *check) expand(spec domainSpec, domain string) (string, error) {
	return spec.expand(func(letter byte) (string, error) { return c.value(letter, domain) })
}

// isDomain reports whether a name can be checked: it has two labels or more (RFC 7208 §4.3).
func isDomain(name string) bool {
	return isName(name) && strings.IndexByte(name, '.') > 0 && name[0] != '['
}

// isName reports whether a name can be asked for.
func isName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

func isAbsent(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// unknown is the failure of a lookup that nobody answered.
func unknown(name string, err error) error {
	var e *net.DNSError
	if errors.As(err, &e) {
		return &failure{TempError, "looking up " + quote(name) + ": " + e.Err}
	}
	return &failure{TempError, "looking up " + quote(name) + ": " + quote(err.Error())}
}

package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// record is an SPF record without errors of syntax (RFC 7208 §4.6.1): one that has any is
// not evaluated at all, wherever they are.
type record struct {
	directives []directive
	redirect   domainSpec // nil: none
}

// directive is a mechanism with its qualifier (RFC 7208 §4.6.2).
type directive struct {
	text      string // as it stands in the record
	qualifier Result
	mechanism mechanism
	domain    domainSpec   // nil: the current domain
	network   netip.Prefix // of ip4 and ip6
	bits4     int          // of a and mx
	bits6     int
}

// mechanism is a word of RFC 7208 §5.
type mechanism string

// The mechanisms.
const (
	mechanismAll     mechanism = "all"
	mechanismInclude mechanism = "include"
	mechanismA       mechanism = "a"
	mechanismMX      mechanism = "mx"
	mechanismPTR     mechanism = "ptr"
	mechanismIP4     mechanism = "ip4"
	mechanismIP6     mechanism = "ip6"
	mechanismExists  mechanism = "exists"
)

// forms is what may follow each mechanism.
var forms = map[mechanism]struct {
	domain allowance
	bits   bool // dual-cidr-length
}{
	mechanismAll:     {domain: forbidden},
	mechanismInclude: {domain: required},
	mechanismA:       {domain: optional, bits: true},
	mechanismMX:      {domain: optional, bits: true},
	mechanismPTR:     {domain: optional},
	mechanismExists:  {domain: required},
}

type allowance int

const (
	forbidden allowance = iota
	optional
	required
)

var qualifiers = map[byte]Result{'+': Pass, '-': Fail, '?': Neutral, '~': SoftFail}

// isRecord reports whether a text is an SPF record, well formed or not (RFC 7208 §4.5).
func isRecord(text string) bool {
	const version = "v=spf1"
	return len(text) >= len(version) && strings.EqualFold(text[:len(version)], version) &&
		(len(text) == len(version) || text[len(version)] == ' ')
}

// parseRecord parses a text that is a record, by the grammar of RFC 7208 §12.
func parseRecord(text string) (*record, error) {
	r := &record{}
	explained := false
	for term := range strings.SplitSeq(text[len("v=spf1"):], " ") {
		if term == "" {
			continue
		}
		name, value, ok := cutModifier(term)
		if !ok {
			d, err := parseDirective(term)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", quote(term), err)
			}
			r.directives = append(r.directives, d)
			continue
		}
		var err error
		switch strings.ToLower(name) {
		case "redirect":
			if r.redirect != nil {
				err = errTwice
			} else {
				r.redirect, err = parseDomainSpec(value)
			}
		case "exp":
			if explained {
				err = errTwice
			} else {
				explained = true
				_, err = parseDomainSpec(value)
			}
		default:
			_, err = parseMacros(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quote(term), err)
		}
	}
	return r, nil
}

// What is wrong with a term.
var (
	errTwice     = errors.New("stands there twice")
	errMechanism = errors.New("unknown mechanism")
	errArgument  = errors.New("takes no such argument")
	errMissing   = errors.New("needs a domain")
	errNetwork   = errors.New("not an address")
	errBits      = errors.New("not a prefix length")
)

// cutModifier splits name=value. A name is a letter, and letters, digits, "-", "_" and ".".
func cutModifier(term string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(term, "=")
	if !ok || name == "" || !isAlpha(name[0]) {
		return "", "", false
	}
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && strings.IndexByte("-_.", name[i]) < 0 {
			return "", "", false
		}
	}
	return name, value, true
}

func parseDirective(term string) (directive, error) {
	d := directive{text: term, qualifier: Pass, bits4: 32, bits6: 128}
	if q, ok := qualifiers[term[0]]; ok {
		d.qualifier, term = q, term[1:]
	}
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	d.mechanism = mechanism(strings.ToLower(term[:end]))
	rest := term[end:]
	if d.mechanism == mechanismIP4 || d.mechanism == mechanismIP6 {
		var err error
		d.network, err = parseNetwork(rest, d.mechanism)
		return d, err
	}
	form, ok := forms[d.mechanism]
	if !ok {
		return d, errMechanism
	}
	if form.bits {
		var err error
		if rest, err = d.cutBits(rest); err != nil {
			return d, err
		}
	}
	switch {
	case rest == "" && form.domain == required:
		return d, errMissing
	case rest == "":
		return d, nil
	case rest[0] != ':' || form.domain == forbidden:
		return d, errArgument
	}
	var err error
	d.domain, err = parseDomainSpec(rest[1:])
	return d, err
}

// cutBits takes a dual-cidr-length from the end of s: /24, //64 or /24//64.
func (d *directive) cutBits(s string) (rest string, err error) {
	if head, bits, ok := cutNumber(s); ok && strings.HasSuffix(head, "//") {
		if d.bits6, err = parseBits(bits, 128); err != nil {
			return "", err
		}
		s = head[:len(head)-2]
	}
	if head, bits, ok := cutNumber(s); ok && strings.HasSuffix(head, "/") {
		if d.bits4, err = parseBits(bits, 32); err != nil {
			return "", err
		}
		s = head[:len(head)-1]
	}
	return s, nil
}

// cutNumber splits s before the digits at its end.
func cutNumber(s string) (head, digits string, ok bool) {
	head = strings.TrimRight(s, "0123456789")
	return head, s[len(head):], len(head) < len(s)
}

// parseBits parses a prefix length, which has no leading zero.
func parseBits(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most || len(s) > 3 || len(s) > 1 && !('1' <= s[0] && s[0] <= '9') {
		return 0, errBits
	}
	return n, nil
}

// parseNetwork parses what follows ip4 or ip6.
func parseNetwork(s string, m mechanism) (netip.Prefix, error) {
	if !strings.HasPrefix(s, ":") {
		return netip.Prefix{}, errNetwork
	}
	text, length, prefixed := strings.Cut(s[1:], "/")
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || address.Is4() != (m == mechanismIP4) {
		return netip.Prefix{}, errNetwork
	}
	bits := address.BitLen()
	if prefixed {
		if bits, err = parseBits(length, bits); err != nil {
			return netip.Prefix{}, err
		}
	}
	return netip.PrefixFrom(address, bits), nil
}

// quote returns a term for people, not longer than can be read.
func quote(term string) string {
	const longest = 80
	if len(term) > longest {
		return strconv.QuoteToASCII(term[:longest]) + "..."
	}
	return strconv.QuoteToASCII(term)
}

func isAlpha(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool { return isAlpha(c) || isDigit(c) }

package spf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// domainSpec is a domain with macros (RFC 7208 §7.1).
type domainSpec []part

// part is literal text, or a macro that has a letter or stands for a literal.
type part struct {
	literal    string
	macro      bool
	letter     byte // in lower case; 0: literal
	escape     bool // the letter was in upper case: the value is escaped as in a URL
	keep       int  // how many labels from the right; 0: all
	reverse    bool
	delimiters string // empty: "."
}

// What is wrong with macros.
var (
	errCharacter = errors.New("a character that may not stand there")
	errMacro     = errors.New("not a macro")
	errDomain    = errors.New("does not end in a domain")
)

// letters are the macros that may stand in a record. %{c}, %{r} and %{t} may only in an
// explanation (RFC 7208 §7.2).
const letters = "slodiphv"

// maxLabels bounds the digits of a macro; no name has as many labels.
const maxLabels = 128

// parseMacros parses a macro-string.
func parseMacros(s string) (domainSpec, error) {
	var spec domainSpec
	for s != "" {
		if end := strings.IndexByte(s, '%'); end != 0 {
			if end < 0 {
				end = len(s)
			}
			for i := range end {
				if s[i] < 0x21 || s[i] > 0x7e {
					return nil, errCharacter
				}
			}
			spec, s = append(spec, part{literal: s[:end]}), s[end:]
			continue
		}
		if len(s) < 2 {
			return nil, errMacro
		}
		switch s[1] {
		case '%':
			spec, s = append(spec, part{literal: "%", macro: true}), s[2:]
		case '_':
			spec, s = append(spec, part{literal: " ", macro: true}), s[2:]
		case '-':
			spec, s = append(spec, part{literal: "%20", macro: true}), s[2:]
		case '{':
			end := strings.IndexByte(s, '}')
			if end < 0 {
				return nil, errMacro
			}
			p, err := parseMacro(s[2:end])
			if err != nil {
				return nil, err
			}
			spec, s = append(spec, p), s[end+1:]
		default:
			return nil, errMacro
		}
	}
	return spec, nil
}

// parseMacro parses what stands between the braces.
func parseMacro(s string) (part, error) {
	if s == "" || !isAlpha(s[0]) {
		return part{}, errMacro
	}
	p := part{macro: true, letter: s[0] | 0x20, escape: s[0]&0x20 == 0}
	if strings.IndexByte(letters, p.letter) < 0 {
		return part{}, errMacro
	}
	s = s[1:]
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		p.keep = min(p.keep*10+int(s[digits]-'0'), maxLabels)
		digits++
	}
	if digits > 0 && p.keep == 0 {
		return part{}, errMacro
	}
	s = s[digits:]
	if s != "" && s[0]|0x20 == 'r' {
		p.reverse, s = true, s[1:]
	}
	if strings.Trim(s, ".-+,/_=") != "" {
		return part{}, errMacro
	}
	for i := range len(s) { // each once, however long the record is
		if strings.IndexByte(p.delimiters, s[i]) < 0 {
			p.delimiters += s[i : i+1]
		}
	}
	return p, nil
}

// parseDomainSpec parses a macro-string that ends in a macro, or in a dot and a label that
// can be a top-level domain.
func parseDomainSpec(s string) (domainSpec, error) {
	spec, err := parseMacros(s)
	switch {
	case err != nil:
		return nil, err
	case s == "":
		return nil, errMissing
	}
	if spec[len(spec)-1].macro {
		return spec, nil
	}
	last := strings.TrimSuffix(spec[len(spec)-1].literal, ".")
	dot := strings.LastIndexByte(last, '.')
	if dot < 0 || !isTopLabel(last[dot+1:]) {
		return nil, errDomain
	}
	return spec, nil
}

// isTopLabel reports whether a label is one of letters, digits and hyphens, neither all
// digits nor with a hyphen at its ends.
func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	other := false
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' {
			return false
		}
		other = other || !isDigit(s[i])
	}
	return other
}

// maxName is how long a name may be that DNS is asked for.
const maxName = 253

// expand returns a domain with its macros replaced, cut from the left to what DNS can ask
// for (RFC 7208 §7.3). value returns what a letter stands for. What would be cut anyway is
// not expanded: a record of 64 KiB could stand for megabytes.
func (d domainSpec) expand(value func(letter byte) (string, error)) (string, error) {
	name := ""
	for _, p := range slices.Backward(d) {
		text := p.literal
		if p.letter != 0 {
			v, err := value(p.letter)
			if err != nil {
				return "", err
			}
			text = p.transform(v)
		}
		if name = text + name; len(name) > maxName+1 { // more than a dot at its end
			break
		}
	}
	name = strings.TrimSuffix(name, ".")
	for len(name) > maxName {
		_, rest, ok := strings.Cut(name, ".")
		if !ok {
			break
		}
		name = rest
	}
	return name, nil
}

// transform splits a value, turns it, keeps labels and escapes, in this order.
func (p part) transform(v string) string {
	if p.keep > 0 || p.reverse || p.delimiters != "" {
		delimiters := p.delimiters
		if delimiters == "" {
			delimiters = "."
		}
		labels := split(v, delimiters)
		if p.reverse {
			slices.Reverse(labels)
		}
		if p.keep > 0 && len(labels) > p.keep {
			labels = labels[len(labels)-p.keep:]
		}
		v = strings.Join(labels, ".")
	}
	if p.escape {
		v = urlEscape(v)
	}
	return v
}

// split splits s at each of the delimiters. Empty labels stay.
func split(s, delimiters string) []string {
	var labels []string
	for {
		at := strings.IndexAny(s, delimiters)
		if at < 0 {
			return append(labels, s)
		}
		labels, s = append(labels, s[:at]), s[at+1:]
	}
}

// urlEscape escapes all but the unreserved characters of RFC 3986 §2.3.
func urlEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

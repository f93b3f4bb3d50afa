package session

import (
	"bytes"
	"strings"
)

// AcceptList decides for which recipient domains mail is accepted, so that the gateway is
// not an open relay.
type AcceptList struct {
	any   bool
	exact map[string]struct{} // example.net
	below map[string]struct{} // example.net for *.example.net
}

// AcceptAny returns a list that accepts mail for every domain.
func AcceptAny() *AcceptList { return &AcceptList{any: true} }

// AcceptDomains returns a list that accepts mail for the listed domains: example.net for
// itself, *.example.net for every domain below it. Case does not matter (RFC 5321 §2.4).
func AcceptDomains(domains []string) *AcceptList {
	a := &AcceptList{exact: map[string]struct{}{}, below: map[string]struct{}{}}
	for _, d := range domains {
		d = strings.ToLower(d)
		if parent, ok := strings.CutPrefix(d, "*."); ok {
			a.below[parent] = struct{}{}
		} else {
			a.exact[d] = struct{}{}
		}
	}
	return a
}

// Accepts reports whether mail for domain, of at most 255 octets, is accepted.
func (a *AcceptList) Accepts(domain []byte) bool {
	if a.any {
		return true
	}
	var buf [255]byte
	lower := buf[:copy(buf[:], domain)]
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	if _, ok := a.exact[string(lower)]; ok {
		return true
	}
	for len(a.below) > 0 {
		dot := bytes.IndexByte(lower, '.')
		if dot < 0 {
			return false
		}
		lower = lower[dot+1:]
		if _, ok := a.below[string(lower)]; ok {
			return true
		}
	}
	return false
}

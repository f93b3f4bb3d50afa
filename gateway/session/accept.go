package session

import (
	"bytes"
	"strings"
)

// AcceptList says for which domains mail is taken: an edge gateway is no open relay.
type AcceptList struct {
	any   bool
	exact map[string]struct{} // example.net
	below map[string]struct{} // example.net for *.example.net
}

// AcceptAny takes mail for every domain.
func AcceptAny() *AcceptList { return &AcceptList{any: true} }

// AcceptDomains takes mail for the domains listed: example.net for itself,
// *.example.net for every domain below it. Case does not matter (RFC 5321 §2.4).
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

// Accepts says whether mail for a domain, of at most 255 octets, is taken.
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

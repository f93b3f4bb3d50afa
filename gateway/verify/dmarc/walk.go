package dmarc

import (
	"context"
	"strings"

	"sluice/gateway/verify/txt"
)

// maxQueries is how many names a walk asks for (RFC 9989 §4.10).
const maxQueries = 8

// prefix stands before the name of a domain where its record is.
const prefix = "_dmarc."

// maxStart is the longest name below which a record can stand (RFC 1035 §2.3.4).
const maxStart = 253 - len(prefix)

// Names returns the names that a walk from a domain asks for at most.
func Names(domain string) []string {
	var names []string
	for name := domain; name != ""; name = parent(name) {
		if len(name) <= maxStart {
			names = append(names, prefix+name)
		}
	}
	return names
}

// published is the record of a domain.
type published struct {
	domain string
	record Record
}

// walk is what a walk up the tree of names has found.
type walk struct {
	start  string
	found  []published // from the longest name to the shortest
	failed bool        // an answer is missing
}

// climb asks for the record of a domain and of those above it (RFC 9989 §4.10). From a
// name of more than eight labels it goes on with the last seven.
func climb(ctx context.Context, resolver txt.Resolver, domain string) walk {
	w := walk{start: domain}
	for name := domain; name != ""; name = parent(name) {
		if len(name) > maxStart {
			continue // no such name can exist
		}
		records, outcome := resolver.LookupTXT(ctx, prefix+name)
		if outcome == txt.Failed {
			w.failed = true
			return w
		}
		if r, ok := only(records); ok && outcome == txt.Found {
			w.found = append(w.found, published{domain: name, record: r})
			if r.psd != psdUnknown {
				return w
			}
		}
	}
	return w
}

// parent returns the name that a walk asks for next, or nothing.
func parent(name string) string {
	labels := strings.Count(name, ".") + 1
	drop := max(1, labels-(maxQueries-1))
	for range drop {
		_, name, _ = strings.Cut(name, ".")
	}
	return name
}

// only returns the record of DMARC, unless there are several.
func only(records []string) (Record, bool) {
	var one Record
	n := 0
	for _, text := range records {
		if r, ok := ParseRecord(text); ok {
			one = r
			n++
		}
	}
	return one, n == 1
}

// organization returns the organizational domain of the start (RFC 9989 §4.10.2).
func (w *walk) organization() string {
	for _, p := range w.found {
		switch {
		case p.record.psd == psdNo:
			return p.domain
		case p.record.psd == psdYes && p.domain != w.start:
			return oneBelow(w.start, p.domain)
		}
	}
	if n := len(w.found); n > 0 {
		return w.found[n-1].domain
	}
	return w.start
}

// oneBelow returns the name on the way to another that has one label more than a domain.
func oneBelow(name, domain string) string {
	above := name[:len(name)-len(domain)-1]
	return name[strings.LastIndexByte(above, '.')+1:]
}

// policy returns the record that holds for the start (RFC 9989 §4.10.1): its own, or else
// that of its organization, or else that of the public suffix above.
func (w *walk) policy() (published, bool) {
	if len(w.found) == 0 {
		return published{}, false
	}
	if w.found[0].domain == w.start {
		return w.found[0], true
	}
	organization := w.organization()
	for _, p := range w.found {
		if p.domain == organization {
			return p, true
		}
	}
	return w.found[len(w.found)-1], true
}

// sameTop reports whether two names end in the same label.
func sameTop(a, b string) bool {
	return a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}

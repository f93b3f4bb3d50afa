// Package author finds the domain of a message's author in its From field (RFC 5322 §3.6.2,
// RFC 9989 §4.10.1). What programs read differently has no author here.
package author

import (
	"bytes"

	"sluice/gateway/verify/domain"
	"sluice/gateway/verify/fields"
)

// Reason says why a message has no one domain of its author. The set is bounded.
type Reason string

// The reasons.
const (
	ReasonNone           Reason = ""
	ReasonNoFrom         Reason = "no From field"
	ReasonSeveralFields  Reason = "several From fields"
	ReasonSeveralDomains Reason = "several domains in From"
	ReasonNoDomain       Reason = "no domain in From"
	ReasonMalformed      Reason = "malformed From"
)

// Domain returns the domain of the author, as domain.ASCII does, or why there is none. rest
// is what only some programs read as fields (fields.Cut): a From field there is not the
// author's, and makes another one doubtful.
func Domain(list []fields.Field, rest []byte) (string, Reason) {
	var from []byte
	n := 0
	for _, f := range list {
		if f.Is("From") {
			from = f.Value()
			n++
		}
		// Programs that take a bare LF or CR for the end of a line see another field.
		n += hidden(f.Raw)
	}
	switch {
	case n > 1 || n == 1 && (begins(rest) || hidden(rest) > 0):
		return "", ReasonSeveralFields
	case from == nil:
		return "", ReasonNoFrom
	default:
		return parse(from)
	}
}

// hidden returns how many From fields stand behind the end of a line.
func hidden(raw []byte) int {
	n := 0
	for i, c := range raw {
		if (c == '\r' || c == '\n') && begins(raw[i+1:]) {
			n++
		}
	}
	return n
}

// begins reports whether text begins with a From field.
func begins(text []byte) bool {
	if len(text) < 5 || text[0]|0x20 != 'f' || !bytes.EqualFold(text[:4], []byte("from")) {
		return false
	}
	text = text[4:min(4+80, len(text))]
	for len(text) > 1 && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	return text[0] == ':'
}

const (
	// maxAddresses is how many addresses a field may have: each name costs a conversion.
	maxAddresses = 100
	// maxTokens is how many words and marks a field may have.
	maxTokens = 3000
)

// parse returns the one domain of a list of addresses.
func parse(value []byte) (string, Reason) {
	s := scanner{text: value}
	for {
		kind := s.next()
		switch {
		case kind == end && s.group:
			return "", ReasonMalformed
		case kind == end && s.domain == "":
			return "", ReasonNoDomain
		case kind == end && s.several:
			return "", ReasonSeveralDomains
		case kind == end:
			return s.domain, ReasonNone
		case kind == ',':
			// Empty places in a list are of RFC 5322 §4.4.
		case kind == ';' && s.group:
			s.group = false
		case !s.address(kind):
			return "", ReasonMalformed
		}
	}
}

// address takes one address or the name of a group, whose first token has been taken.
func (s *scanner) address(kind token) bool {
	words, dots, adjacent := 0, 0, false
	for kind == word || kind == quoted || kind == '.' {
		if kind == '.' {
			dots++
			adjacent = false
		} else {
			// Two words in a row are a phrase, not the local part of an address.
			if adjacent {
				dots = -1 << 30
			}
			adjacent = true
			words++
		}
		kind = s.next()
	}
	local := words > 0 && dots >= 0 && dots == words-1 && adjacent
	switch kind {
	case ':':
		if words == 0 || s.group {
			return false
		}
		s.group = true
		return true
	case '@':
		return local && s.host() && s.separated()
	case '<':
		return s.angle() && s.separated()
	}
	return false
}

// angle takes what stands between angle brackets, with a route before it (RFC 5322 §4.4).
func (s *scanner) angle() bool {
	kind := s.next()
	for kind == '@' || kind == ',' {
		if kind == '@' && !s.skipHost() {
			return false
		}
		kind = s.next()
		if kind == ':' {
			kind = s.next()
			break
		}
		if kind != ',' && kind != '@' {
			return false
		}
	}
	for {
		if kind != word && kind != quoted {
			return false
		}
		if kind = s.next(); kind != '.' {
			break
		}
		kind = s.next()
	}
	return kind == '@' && s.host() && s.next() == '>'
}

// separated reports whether an address ends where it should. It takes nothing.
func (s *scanner) separated() bool {
	at := s.at
	kind := s.next()
	s.at = at
	return kind == end || kind == ',' || kind == ';' && s.group
}

// host takes a domain and remembers it.
func (s *scanner) host() bool {
	s.name = s.name[:0]
	if s.hosts++; s.hosts > maxAddresses || !s.skipHost() {
		return false
	}
	name, ok := domain.ASCII(string(s.name))
	if !ok {
		return false
	}
	if s.domain != "" && s.domain != name {
		s.several = true
	}
	s.domain = name
	return true
}

// skipHost takes a domain: words with dots between them. A literal address is none.
func (s *scanner) skipHost() bool {
	for {
		if s.next() != word {
			return false
		}
		s.name = append(s.name, s.last...)
		at := s.at
		if s.next() != '.' {
			s.at = at
			return true
		}
		s.name = append(s.name, '.')
	}
}

package author

import "bytes"

// token is what a scanner has found: one of the kinds, or a special character.
type token byte

const (
	end token = iota
	word
	quoted
	bad
)

// scanner takes the tokens of a list of addresses (RFC 5322 §3.2). Each byte is looked at
// a bounded number of times.
type scanner struct {
	text []byte
	at   int
	last []byte // the last word

	group   bool // within a group
	domain  string
	several bool
	hosts   int
	tokens  int
	name    []byte // the domain being taken
}

// next returns the next token, behind white space and comments.
func (s *scanner) next() token {
	if s.tokens++; s.tokens > maxTokens || !s.skip() {
		return bad
	}
	if s.at == len(s.text) {
		return end
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return s.quote()
	case isAtom(c):
		from := s.at
		if s.at += encodedWord(s.text[from:]); s.at == from {
			for s.at < len(s.text) && isAtom(s.text[s.at]) {
				s.at++
			}
		}
		s.last = s.text[from:s.at]
		return word
	case bytes.IndexByte([]byte("<>@,;:."), c) >= 0:
		s.at++
		return token(c)
	}
	return bad
}

// skip passes white space and comments, and reports whether they are well formed.
func (s *scanner) skip() bool {
	depth := 0
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '\r':
			if s.at+1 == len(s.text) || s.text[s.at+1] != '\n' {
				return false
			}
			s.at++
		case c == ' ' || c == '\t':
		case c < ' ' || c == 0x7f:
			return false
		case depth == 0:
			return true
		case c == '\\':
			s.at++
		}
	}
	s.at = min(s.at, len(s.text))
	return depth == 0
}

// quote takes a quoted string.
func (s *scanner) quote() token {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return quoted
		case c == '\\':
			s.at++
		case c == '\r' && s.at+1 < len(s.text) && s.text[s.at+1] == '\n':
			s.at++
		case c < ' ' && c != '\t' || c == 0x7f:
			return bad
		}
	}
	s.at = len(s.text)
	return bad
}

// isAtom reports whether a byte may stand in an atom, in UTF-8 too (RFC 6532).
func isAtom(c byte) bool {
	return c >= 0x80 || c > ' ' && c < 0x7f && bytes.IndexByte([]byte(`()<>[]:;@\,."`), c) < 0
}

// encodedWord returns the length of an encoded word that begins a text, or 0 (RFC 2047).
// Many hold commas and the like, which they may not in a phrase. One with what belongs to
// an address is none.
func encodedWord(text []byte) int {
	if !bytes.HasPrefix(text, []byte("=?")) {
		return 0
	}
	marks := 0
	for i := 2; i < min(len(text), 998); i++ {
		switch c := text[i]; {
		case c <= ' ' || c >= 0x7f || bytes.IndexByte([]byte(`<>@"\`), c) >= 0:
			return 0
		case c == '?' && marks == 2:
			if i+1 < len(text) && text[i+1] == '=' {
				return i + 2
			}
			return 0
		case c == '?':
			marks++
		}
	}
	return 0
}

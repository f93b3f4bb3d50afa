package authres

import (
	"bytes"
	"strings"

	"sluice/gateway/verify/domain"
)

// name is the name of the field.
const name = "Authentication-Results"

const (
	// maxIdentity is how many bytes of words may name a host. No longer text is one.
	maxIdentity = 1024
	// maxStrange is how many names in other letters than ASCII are converted, which costs
	// much. Further ones count as forged: nobody writes so many.
	maxStrange = 16
)

// Forged returns where the names of fields stand in a header that claim to be of a host.
// Whoever reads them may be more generous than the standard, so a bare CR or LF also ends a
// line, and quotes, comments, white space and control characters do not count. Encoded words
// (RFC 2047) have no place where a host is named, but some readers decode them before they
// look for it: a field with one there is forged, whatever it says.
func Forged(header []byte, host string) []int {
	s := search{want: strings.ToLower(strings.TrimSuffix(host, ".")), cursor: cursor{text: header}}
	if ascii, ok := domain.ASCII(host); ok {
		s.want = ascii
	}
	var found []int
	for !s.end() {
		if at := s.named(); at >= 0 {
			from := s.at
			if words := s.identity(); s.claims(words) || bytes.Contains(header[from:s.at], []byte("=?")) {
				found = append(found, at)
			}
		}
		s.nextLine()
	}
	return found
}

// search looks for the fields of a host.
type search struct {
	cursor
	want    string
	strange int // names that were converted
}

// claims reports whether the words before the first semicolon name the host: the first one,
// or all together with or without a version behind them (RFC 8601 §2.2).
func (s *search) claims(words []string) bool {
	switch len(words) {
	case 0:
		return false
	case 1:
		return s.names(words[0])
	}
	all := strings.Join(words, "")
	return s.names(words[0]) || s.names(all) || s.names(strings.TrimSuffix(all, words[len(words)-1]))
}

// names reports whether a word is the name of the host, with or without a version.
func (s *search) names(word string) bool {
	word, _, _ = strings.Cut(word, "/")
	if strings.TrimSuffix(word, ".") == s.want {
		return true
	}
	if !strings.ContainsFunc(word, func(r rune) bool { return r >= 0x80 }) || len(word) > 4*len(s.want)+16 {
		return false // it is as domain.ASCII would leave it, or longer than the host in any letters
	}
	ours := strings.FieldsFunc(word, func(r rune) bool { return r >= 0x80 }) // such as white space
	if len(ours) > 0 && ours[0] == s.want || strings.Join(ours, "") == s.want {
		return true
	}
	if s.strange++; s.strange > maxStrange {
		return true
	}
	ascii, ok := domain.ASCII(word)
	return ok && ascii == s.want
}

// cursor walks over a header.
type cursor struct {
	text  []byte
	at    int
	words []string // room for those of an identity
	word  []byte   // room for one
}

func (c *cursor) end() bool { return c.at >= len(c.text) }

// peek returns the next byte, or 0 at the end.
func (c *cursor) peek() byte {
	if c.end() {
		return 0
	}
	return c.text[c.at]
}

// named takes the name of the field and the colon, with white space and control characters
// between them and before. It returns where the name stands, or -1 where they are not.
func (c *cursor) named() int {
	if b := c.peek(); b != ' ' && b != '\t' { // which continue the line before
		c.skipBlanks()
	}
	at := c.at
	rest := c.text[at:]
	if len(rest) < len(name) || lower(rest[0]) != 'a' || !strings.EqualFold(string(rest[:len(name)]), name) {
		return -1
	}
	c.at += len(name)
	if c.skipBlanks(); c.peek() != ':' {
		return -1
	}
	c.at++
	return at
}

// skipBlanks goes behind white space, control characters and folds.
func (c *cursor) skipBlanks() {
	for !c.end() && blank(c.text[c.at]) {
		if b := c.text[c.at]; b != '\r' && b != '\n' {
			c.at++
		} else if !c.folded() {
			return
		}
	}
}

// blank reports whether a byte is white space or a control character.
func blank(b byte) bool { return b <= ' ' || b == 0x7f }

// nextLine goes behind the end of the line.
func (c *cursor) nextLine() {
	for !c.end() {
		b := c.text[c.at]
		c.at++
		if b == '\n' || b == '\r' && c.peek() != '\n' {
			return
		}
	}
}

// identity returns the words before the first semicolon of a value in lower case, without
// comments and quotes. Quoted text continues a word. It stops behind maxIdentity bytes.
func (c *cursor) identity() []string {
	words, text := c.words[:0], c.word[:0]
	defer func() { c.words, c.word = words, text }()
	depth, quoted, size := 0, false, 0
	for !c.end() && size <= maxIdentity {
		if depth == 0 {
			from := len(text)
			for c.at < len(c.text) && plain(c.text[c.at]) {
				text = append(text, lower(c.text[c.at]))
				c.at++
			}
			if size += len(text) - from; c.end() {
				break
			}
		}
		b := c.text[c.at]
		if b == '\r' || b == '\n' {
			if !c.folded() {
				break
			}
			b = ' '
		} else {
			c.at++
		}
		if depth > 0 && b != ')' && b != '\\' {
			if b == '(' {
				depth++
			}
			continue
		}
		space := blank(b)
		switch {
		case b == '\\' && (quoted || depth > 0):
			if next := c.peek(); !c.end() && next != '\r' && next != '\n' {
				if depth == 0 {
					text = append(text, lower(next))
					size++
				}
				c.at++
			}
			continue
		case b == '"':
			quoted = !quoted
			continue
		case quoted && !space:
			text = append(text, lower(b))
			size++
			continue
		case b == '(' && !quoted:
			depth++
			space = true
		case b == ')' && depth > 0:
			depth--
			space = true
		}
		if space {
			words, text = push(words, text), text[:0]
			continue
		}
		if b == ';' {
			break
		}
		text = append(text, lower(b))
		size++
	}
	words = push(words, text)
	return words
}

// plain reports whether a byte stands for itself in a word, quoted or not.
func plain(b byte) bool {
	return !blank(b) && b != '"' && b != '(' && b != ')' && b != ';' && b != '\\'
}

func push(words []string, text []byte) []string {
	if len(text) == 0 {
		return words
	}
	return append(words, string(text))
}

// folded goes behind the end of a line, and reports whether the next one continues it. If
// not, it takes nothing.
func (c *cursor) folded() bool {
	before := c.at
	b := c.text[c.at]
	c.at++
	if b == '\r' && c.peek() == '\n' {
		c.at++
	}
	if c.peek() == ' ' || c.peek() == '\t' {
		return true
	}
	c.at = before
	return false
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b | 0x20
	}
	return b
}

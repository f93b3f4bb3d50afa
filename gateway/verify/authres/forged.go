package authres

import (
	"strings"

	"sluice/gateway/verify/domain"
)

// The name of the field, and what a forged one is called instead: as long, so that nothing
// moves.
const (
	name    = "Authentication-Results"
	spoofed = "X-Spoofed-Auth-Results"
)

// Forged returns where the names of fields stand that claim to be of a host, in a header
// that consists of parts. Whoever reads them may be more generous than the standard, so a
// bare CR or LF also ends a line, and quotes, comments and white space do not count.
func Forged(header [][]byte, host string) []int {
	want := strings.ToLower(strings.TrimSuffix(host, "."))
	if ascii, ok := domain.ASCII(host); ok {
		want = ascii
	}
	var found []int
	c := cursor{parts: header}
	c.settle()
	for !c.end() {
		at := c.at
		if c.named() && claims(c.identity(), want) {
			found = append(found, at)
		}
		c.nextLine()
	}
	return found
}

// Rename gives a forged field its other name. The place is one that Forged returned.
func Rename(header [][]byte, at int) {
	text := spoofed
	for _, part := range header {
		if at >= len(part) {
			at -= len(part)
			continue
		}
		n := copy(part[at:], text)
		if text, at = text[n:], 0; text == "" {
			return
		}
	}
}

// claims reports whether the words before the first semicolon name a host: the first one,
// or all together with or without a version behind them (RFC 8601 §2.2).
func claims(words []string, want string) bool {
	if len(words) == 0 {
		return false
	}
	all := strings.Join(words, "")
	last := words[len(words)-1]
	for _, one := range [...]string{words[0], all, strings.TrimSuffix(all, last)} {
		if one, _, _ = strings.Cut(one, "/"); strings.TrimSuffix(one, ".") == want {
			return true
		}
		if ascii, ok := domain.ASCII(one); ok && ascii == want {
			return true
		}
	}
	return false
}

// cursor walks over a header.
type cursor struct {
	parts [][]byte // what is left; the first is not empty
	i     int      // in the first part
	at    int      // in all
}

func (c *cursor) settle() {
	for len(c.parts) > 0 && c.i == len(c.parts[0]) {
		c.parts, c.i = c.parts[1:], 0
	}
}

func (c *cursor) end() bool { return len(c.parts) == 0 }

// peek returns the next byte, or 0 at the end.
func (c *cursor) peek() byte {
	if c.end() {
		return 0
	}
	return c.parts[0][c.i]
}

func (c *cursor) step() {
	c.i++
	c.at++
	c.settle()
}

// named takes the name of the field, white space and the colon. It reports whether they
// were there.
func (c *cursor) named() bool {
	for i := range len(name) {
		if c.end() || lower(c.peek()) != lower(name[i]) {
			return false
		}
		c.step()
	}
	for c.peek() == ' ' || c.peek() == '\t' {
		c.step()
	}
	if c.peek() != ':' {
		return false
	}
	c.step()
	return true
}

// nextLine goes behind the end of the line.
func (c *cursor) nextLine() {
	for !c.end() {
		b := c.peek()
		c.step()
		if b == '\n' || b == '\r' && c.peek() != '\n' {
			return
		}
	}
}

// identity returns the words before the first semicolon of a value in lower case, without
// comments and quotes. Quoted text continues a word.
func (c *cursor) identity() []string {
	var words []string
	var text []byte
	depth, quoted := 0, false
	for !c.end() {
		b := c.peek()
		if b == '\r' || b == '\n' {
			if !c.folded() {
				break
			}
			b = ' '
		} else {
			c.step()
		}
		space := b == ' ' || b == '\t' || b == 0
		switch {
		case b == '\\' && (quoted || depth > 0):
			if depth == 0 && c.peek() != '\r' && c.peek() != '\n' {
				text = append(text, lower(c.peek()))
			}
			if c.peek() != '\r' && c.peek() != '\n' && !c.end() {
				c.step()
			}
			continue
		case b == '"' && depth == 0:
			quoted = !quoted
			continue
		case quoted && !space:
			text = append(text, lower(b))
			continue
		case b == '(' && !quoted:
			depth++
			space = true
		case b == ')' && depth > 0:
			depth--
			space = true
		}
		if space || depth > 0 {
			words, text = push(words, text), text[:0]
			continue
		}
		if b == ';' {
			break
		}
		text = append(text, lower(b))
	}
	return push(words, text)
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
	before := *c
	b := c.peek()
	c.step()
	if b == '\r' && c.peek() == '\n' {
		c.step()
	}
	if c.peek() == ' ' || c.peek() == '\t' {
		return true
	}
	*c = before
	return false
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b | 0x20
	}
	return b
}

package content

import (
	"strings"

	"sluice/index"
)

// maxMailboxes bounds what one field may have, a little above what a row keeps.
const maxMailboxes = 5000

// parseAddresses parses the value of a field with mailboxes (RFC 5322 §3.4), and keeps what
// it can of one that is malformed. ok says that it was not.
func parseAddresses(value string) (list []index.Address, ok bool) {
	p := addressParser{s: value, ok: true}
	p.parse()
	if p.open {
		// A quote or a parenthesis without its end is only a character.
		p = addressParser{s: value, lenient: true}
		p.parse()
	}
	return p.list, p.ok
}

// addressParser reads a field from left to right, once.
type addressParser struct {
	s       string
	lenient bool // quotes and parentheses are characters as others are
	list    []index.Address
	ok      bool
	open    bool // a quote or a parenthesis has no end

	group   bool
	endless bool   // no encoded word ends in what is left
	phrase  []byte // without quotes, as it came
	at      bool   // there is an @ in it
	address string // that stood between < and >
	bracket bool   // there was one
	comment string // the last
}

func (p *addressParser) parse() {
	for i := 0; i < len(p.s); {
		switch c := p.s[i]; {
		case c == '"' && !p.lenient:
			i = p.quoted(i)
		case c == '(' && !p.lenient:
			i = p.parenthesis(i)
		case c == '<':
			i = p.angle(i)
		case c == '[':
			i = p.literal(i)
		case c == ',' || c == ';':
			p.end(c == ';' && p.group)
			p.ok = p.ok && (c == ',' || p.group)
			p.group = p.group && c == ','
			i++
		case c == ':' && !p.bracket && !p.at:
			p.phrase, p.comment, p.group = p.phrase[:0], "", true
			i++
		default:
			n := max(wordEnd(p.s[i:], &p.endless), 1)
			p.phrase = append(p.phrase, p.s[i:i+n]...)
			p.at = p.at || c == '@'
			i += n
		}
		if p.open {
			return
		}
	}
	p.end(p.group)
	p.ok = p.ok && !p.group
}

// quoted takes the quoted string at i into the phrase.
func (p *addressParser) quoted(i int) int {
	for j := i + 1; j < len(p.s); j++ {
		switch p.s[j] {
		case '\\':
			j++
		case '"':
			text := p.s[i+1 : j]
			if j+1 < len(p.s) && p.s[j+1] == '@' {
				text = p.s[i : j+1] // a local part
			} else if strings.IndexByte(text, '\\') >= 0 {
				text = unescape(text)
			}
			p.phrase = append(p.phrase, text...)
			return j + 1
		}
	}
	p.open = true
	return len(p.s)
}

// parenthesis takes the comment at i, with those in it.
func (p *addressParser) parenthesis(i int) int {
	depth := 0
	for j := i; j < len(p.s); j++ {
		switch p.s[j] {
		case '\\':
			j++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.comment = p.s[i+1 : j]
				return j + 1
			}
		}
	}
	p.open = true
	return len(p.s)
}

// angle takes the address that begins with < at i.
func (p *addressParser) angle(i int) int {
	for i < len(p.s) && p.s[i] == '<' {
		i++
	}
	quote := false
	for j := i; ; j++ {
		switch {
		case j >= len(p.s) || p.s[j] == '<' || p.s[j] == ',' && !quote && !strings.HasPrefix(p.s[i:], "@"):
			p.ok, p.open = false, quote
		case p.s[j] == '\\' && quote:
			j++
			continue
		case p.s[j] == '"' && !p.lenient:
			quote = !quote
			continue
		case p.s[j] != '>' || quote:
			continue
		}
		j = min(j, len(p.s))
		if p.bracket {
			p.end(false) // without a comma between them
			p.ok = false
		}
		p.address, p.bracket = p.s[i:j], true
		for j < len(p.s) && p.s[j] == '>' {
			j++
		}
		return j
	}
}

// literal takes the address literal at i, in which there may be colons.
func (p *addressParser) literal(i int) int {
	n := 1
	if len(p.phrase) > 0 && p.phrase[len(p.phrase)-1] == '@' {
		if end := strings.IndexAny(p.s[i:min(len(p.s), i+maxFieldName)], "]<>,"); end > 0 && p.s[i+end] == ']' {
			n = end + 1
		}
	}
	p.phrase = append(p.phrase, p.s[i:i+n]...)
	return i + n
}

// end adds the mailbox that was read. Nothing between commas is nothing, and neither is
// that a group is empty.
func (p *addressParser) end(ofGroup bool) {
	phrase := strings.Join(strings.Fields(string(p.phrase)), " ")
	address, bracket, comment := p.address, p.bracket, p.comment
	p.phrase, p.at, p.address, p.bracket, p.comment = p.phrase[:0], false, "", false, ""
	if !bracket {
		if phrase == "" {
			p.ok = p.ok && (ofGroup || comment == "")
			return
		}
		address, phrase = bareAddress(phrase)
		p.ok = p.ok && phrase == "" && address != ""
	}
	if phrase == "" {
		phrase = comment
	}
	if len(p.list) == maxMailboxes {
		p.ok = false
		return
	}
	a := index.Address{Address: cleanAddress(address)}
	var ok bool
	a.Name, ok = decodeText(phrase)
	p.ok = p.ok && ok && strings.Contains(a.Address, "@")
	p.list = append(p.list, a)
}

// bareAddress finds the address in a mailbox without angle brackets.
func bareAddress(phrase string) (address, rest string) {
	if strings.HasPrefix(phrase, `"`) && strings.Contains(phrase, `"@`) {
		return phrase, ""
	}
	words := strings.Fields(phrase)
	if joined := strings.Join(words, ""); len(words) > 1 && strings.Count(joined, "@") == 1 && spaced(words) {
		return joined, ""
	}
	for i, w := range words {
		if strings.Contains(w, "@") {
			return strings.Trim(w, "'\""), strings.Join(append(words[:i:i], words[i+1:]...), " ")
		}
	}
	if len(words) == 1 {
		return phrase, ""
	}
	return "", phrase
}

// spaced reports whether words are those of an address with white space around its dots
// or its @ (RFC 5322 §4.4).
func spaced(words []string) bool {
	for i := 1; i < len(words); i++ {
		if !strings.ContainsAny(words[i-1][len(words[i-1])-1:]+words[i][:1], ".@") {
			return false
		}
	}
	return true
}

// cleanAddress returns an address without a route, comments and white space. One that is
// encoded is decoded.
func cleanAddress(s string) string {
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, "@") {
		if colon := strings.IndexByte(s, ':'); colon >= 0 {
			s = strings.Trim(s[colon+1:], " \t")
		}
	}
	if !strings.HasPrefix(s, `"`) {
		if begin := strings.IndexByte(s, '('); begin >= 0 && strings.HasSuffix(s, ")") {
			s = s[:begin]
		}
		if strings.ContainsAny(s, " \t") {
			s = strings.Join(strings.Fields(s), "")
		}
	}
	text, _ := decodeText(s)
	return text.Text
}

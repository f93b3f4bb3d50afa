// Package authres writes the field Authentication-Results (RFC 8601), and finds those that
// strangers wrote in our name.
package authres

import (
	"net/netip"
	"strings"
)

// Property is one thing that a check looked at, such as header.d.
type Property struct {
	// Name is a ptype and a property, such as "smtp.mailfrom".
	Name  string
	Value string // as it came; it is made safe
}

// Result is the outcome of one check.
type Result struct {
	Method, Result string // words of RFC 8601 §2.7
	Reason         string // for people; may be empty
	Properties     []Property
}

// SPF returns the result of SPF for the address of MAIL and the name of HELO; an empty one
// is left out.
func SPF(result, reason, mailFrom, helo string) Result {
	return Result{"spf", result, reason, properties("smtp.mailfrom", mailFrom, "smtp.helo", helo)}
}

// DKIM returns the result of one signature.
func DKIM(result, reason string, signature Signature) Result {
	return Result{"dkim", result, reason, properties("header.d", signature.Domain,
		"header.s", signature.Selector, "header.a", signature.Algorithm, "header.b", signature.Prefix)}
}

// Signature is what tells a signature from others.
type Signature struct {
	Domain, Selector, Algorithm string
	Prefix                      string // the beginning of b=
}

// DMARC returns the result of DMARC for the domain of the author and the policy found.
func DMARC(result, reason, from, policy string) Result {
	return Result{"dmarc", result, reason, properties("header.from", from, "polrec.p", policy)}
}

// IPRev returns the result of the check of the client's name; an address that is none is
// left out.
func IPRev(result string, client netip.Addr) Result {
	address := ""
	if client.IsValid() {
		address = client.String()
	}
	return Result{"iprev", result, "", properties("policy.iprev", address)}
}

// properties returns those of pairs of name and value that have a value.
func properties(pairs ...string) []Property {
	var list []Property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, Property{pairs[i], pairs[i+1]})
		}
	}
	return list
}

const (
	// wanted is how long a line should be, and maxValue how long a value may be, with its
	// quotes: so no line reaches the 998 bytes of RFC 5322 §2.1.1.
	wanted   = 78
	maxValue = 600
)

// Append appends the field of a host that judged a message, with the CRLF that ends it.
func Append(dst []byte, host string, results []Result) []byte {
	w := writer{text: dst, line: len(dst)}
	w.add("Authentication-Results: " + value(host))
	if len(results) == 0 {
		w.add("; none")
	}
	for _, r := range results {
		w.text = append(w.text, ';')
		w.fold()
		w.add(word(r.Method) + "=" + word(r.Result))
		if r.Reason != "" {
			w.item("reason=" + quote(r.Reason))
		}
		for _, p := range r.Properties {
			w.item(word(p.Name) + "=" + value(p.Value))
		}
	}
	return append(w.text, '\r', '\n')
}

// writer writes lines and folds them.
type writer struct {
	text []byte
	line int // where the line begins
}

func (w *writer) add(text string) { w.text = append(w.text, text...) }

func (w *writer) fold() {
	w.text = append(w.text, '\r', '\n')
	w.line = len(w.text)
	w.text = append(w.text, '\t')
}

// item adds a text behind white space, on a line of its own if this one becomes too long.
func (w *writer) item(text string) {
	if len(w.text)-w.line+1+len(text) > wanted {
		w.fold()
	} else {
		w.text = append(w.text, ' ')
	}
	w.add(text)
}

// value returns a text as a value: bare if it is a token, a domain or an address, else in
// quotes.
func value(text string) string {
	local, host, at := strings.Cut(text, "@")
	if len(text) <= maxValue && (isToken(text) || at && isAtoms(local) && isToken(host)) {
		return text
	}
	return quote(text)
}

// quote returns a text in quotes, cut where it is too long. What is not printable ASCII
// becomes a question mark, so that nothing ends the line.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		if b.Len() > maxValue-len(`..."`)-2 {
			b.WriteString("...")
			break
		}
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// word returns a text without what is no letter, digit, dot, hyphen or underscore.
func word(text string) string {
	return strings.Map(func(c rune) rune {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80
		if letter || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_' {
			return c
		}
		return -1
	}, text)
}

// isToken reports whether a text is a token of RFC 2045 §5.1.
func isToken(text string) bool { return allOf(text, `()<>@,;:\"/[]?=`) }

// isAtoms reports whether a text is a local part without quotes, or none.
func isAtoms(text string) bool {
	return text == "" || allOf(text, `()<>[]:;@\,"`) && text[0] != '.' && text[len(text)-1] != '.' &&
		!strings.Contains(text, "..")
}

// allOf reports whether a text is printable ASCII without spaces and some specials.
func allOf(text, specials string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || strings.IndexByte(specials, c) >= 0 {
			return false
		}
	}
	return text != ""
}

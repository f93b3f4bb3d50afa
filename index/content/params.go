package content

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"sluice/index"
)

// param is a parameter of a Content-Type or a Content-Disposition. Its name is in lower
// case, its value without quotes and otherwise as it came.
type param struct{ name, value string }

// parseParams parses the value of a field with parameters (RFC 2045 §5.1), as real mailers
// write them: unquoted with spaces, with quotes inside of quotes, without a semicolon. ok
// says that it is as it should be.
func parseParams(s string) (first string, params []param, ok bool) {
	ok = true
	end := strings.IndexAny(s, ";=")
	if end >= 0 && s[end] == '=' {
		// It begins with a parameter.
		if space := strings.LastIndexAny(s[:end], " \t"); space >= 0 {
			end = space
		} else {
			end = 0
		}
		ok = false
	} else if end < 0 {
		end = len(s)
	}
	first, s = strings.ToLower(withoutComment(s[:end])), s[end:]
	for s = strings.TrimLeft(s, "; \t"); s != ""; s = strings.TrimLeft(s, "; \t") {
		end := strings.IndexAny(s, "=;")
		if end < 0 {
			return first, params, ok && withoutComment(s) == ""
		}
		if s[end] == ';' {
			ok = ok && withoutComment(s[:end]) == ""
			s = s[end:]
			continue
		}
		name := strings.ToLower(strings.Trim(s[:end], " \t"))
		value, rest, good := parseParamValue(strings.TrimLeft(s[end+1:], " \t"))
		ok = ok && good && isToken(name)
		params, s = append(params, param{name, value}), rest
	}
	return first, params, ok
}

// parseParamValue parses the value that begins s.
func parseParamValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, ';')
		if end < 0 {
			end = len(s)
		}
		return strings.TrimRight(s[:end], " \t"), s[end:], true
	}
	end, ok := closingQuote(s)
	value = s[1:end]
	if strings.IndexByte(value, '\\') >= 0 {
		value = unescape(value)
	}
	return value, s[min(end+1, len(s)):], ok
}

// maxQuotes bounds how many quotes are looked at for the one that ends a string.
const maxQuotes = 16

// closingQuote finds the quote that ends the quoted string that begins s: one with the end
// of the parameter behind it, the first otherwise, and else the end of the parameter.
func closingQuote(s string) (end int, ok bool) {
	first := -1
	for i, quotes := 1, 0; i < len(s) && quotes < maxQuotes; i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quotes++
			if first < 0 {
				first = i
			}
			rest := strings.TrimLeft(s[i+1:min(len(s), i+1+maxFieldName)], " \t")
			if rest == "" || rest[0] == ';' || rest[0] == '(' {
				return i, first == i
			}
			if equal := strings.IndexByte(rest, '='); equal > 0 && isToken(rest[:equal]) {
				return i, false
			}
		}
	}
	if first < 0 {
		if first = strings.IndexByte(s, ';'); first < 0 {
			first = len(s)
		}
	}
	return first, false
}

// unescape removes the backslashes that quote. Others are of paths.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\\' || s[i+1] == '"') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// withoutComment returns a value up to its first comment, without white space around it.
func withoutComment(s string) string {
	s, _, _ = strings.Cut(s, "(")
	return strings.Trim(s, " \t")
}

// isToken reports whether s is a token of RFC 2045 §5.1.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// word returns a parameter that has no spaces in it, such as charset, or nothing.
func word(params []param, name string) string {
	for _, p := range params {
		if p.name == name {
			value, _, _ := strings.Cut(p.value, " ")
			return withoutComment(value)
		}
	}
	return ""
}

// boundary returns the boundary of a multipart, or nothing.
func boundary(params []param) string {
	for _, p := range params {
		if p.name == "boundary" {
			return strings.TrimRight(p.value, " \t")
		}
	}
	t, _ := text(params, "boundary") // in pieces
	return strings.TrimRight(t.Text, " \t")
}

// text returns a parameter that may be encoded: whole or in pieces by RFC 2231, which then
// counts, or by RFC 2047, or without either.
func text(params []param, name string) (t index.Text, ok bool) {
	pieces, ok := piecesOf(params, name)
	if len(pieces) > 0 {
		return joinPieces(pieces, ok)
	}
	for _, p := range params {
		if p.name == name && p.value != "" {
			return decodeText(p.value)
		}
	}
	return index.Text{}, true
}

// piece is a piece of a parameter (RFC 2231 §3).
type piece struct {
	number  int
	encoded bool
	value   string
}

// piecesOf returns the pieces of a parameter in their order. ok says that none is missing.
func piecesOf(params []param, name string) (pieces []piece, ok bool) {
	for _, p := range params {
		section, found := strings.CutPrefix(p.name, name+"*")
		if !found {
			continue
		}
		if section == "" {
			// All of it, which counts more than pieces do.
			return []piece{{encoded: true, value: p.value}}, true
		}
		section, encoded := strings.CutSuffix(section, "*")
		if n, err := strconv.Atoi(section); err == nil && n >= 0 {
			pieces = append(pieces, piece{number: n, encoded: encoded, value: p.value})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.number, b.number) })
	ok = true
	for i := range pieces {
		ok = ok && pieces[i].number == i
	}
	return slices.CompactFunc(pieces, func(a, b piece) bool { return a.number == b.number }), ok
}

// joinPieces decodes a parameter of RFC 2231. Where encoded words of RFC 2047 are in it
// nevertheless, they are decoded too.
func joinPieces(pieces []piece, whole bool) (t index.Text, ok bool) {
	var raw strings.Builder
	var decoded []byte
	charset := ""
	for i, p := range pieces {
		raw.WriteString(p.value)
		value := p.value
		if p.encoded && i == 0 {
			if name, rest, found := strings.Cut(value, "'"); found {
				if _, text, found := strings.Cut(rest, "'"); found {
					charset, value = name, text
				}
			}
		}
		for i := 0; i < len(value); i++ {
			c := value[i]
			if high, low := digit(value, i+1), digit(value, i+2); p.encoded && c == '%' && high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
			decoded = append(decoded, c)
		}
	}
	text, ok := decodeCharset(charset, decoded)
	if ok && charset == "" || strings.Contains(text, "=?") {
		var words index.Text
		if words, ok = decodeText(text); words.Text != "" {
			text = words.Text
		}
	}
	if t.Text = text; raw.String() != text {
		t.Raw = raw.String()
	}
	return t, ok && whole
}

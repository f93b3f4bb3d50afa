package corpus

import (
	"fmt"
	"strings"
)

// parameter returns a parameter of Content-Type or Content-Disposition with a text, such
// as filename, in one of the ways of real mail. It begins with "; ". vague says that
// readers differ about it.
func (w *writer) parameter(name, text string) (written string, vague bool) {
	const fold = ";\r\n\t"
	if isASCII(text) {
		switch {
		case !strings.ContainsAny(text, " \";\\") && w.chance(2):
			return "; " + name + "=" + text, false
		case w.chance(4):
			return w.pieces(name, text), false
		default:
			return fold + name + "=" + quoted(text), false
		}
	}
	switch w.random.IntN(10) {
	case 0: // RFC 2047 in quotes, which it forbids and everybody does
		return fold + name + `="` + w.encodedWords(text, w.charset(), " ") + `"`, false
	case 1:
		return fold + name + `="` + w.encodedWords(text, w.charset(), "\r\n ") + `"`, false
	case 2: // as it is
		w.truth.Odd = true
		return fold + name + "=" + quoted(text), false
	case 3: // as it is, in a charset that nothing names
		if c := w.legacy(); c != nil {
			w.truth.Odd = true
			return fold + name + "=" + quoted(c.encode(text)), true
		}
		return w.extended(name, text, &utf8), false
	case 4, 5:
		return w.extended(name, text, w.charset()), false
	case 6: // one for old readers beside it; the extended one holds (RFC 6266 §4.3)
		w.truth.Odd = true // of two filenames Python takes the first
		return fold + name + `="old.dat"` + w.extended(name, text, w.charset()), false
	case 7:
		w.truth.Odd = true
		return fold + name + `="` + splitWords(text, "\r\n ") + `"`, false
	default:
		return w.extendedPieces(name, text, w.charset()), false
	}
}

// legacy returns a charset of the language in which ASCII is ASCII and nothing else is.
func (w *writer) legacy() *charset {
	for i := range w.tongue.charsets {
		switch c := &w.tongue.charsets[i]; c.name {
		case "koi8-r", "windows-1251", "windows-1256", "windows-1250", "windows-1252", "euc-kr", "euc-jp":
			return c
		}
	}
	return nil
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// percent returns bytes as RFC 2231 §4 writes them.
func percent(encoded string) string {
	var b strings.Builder
	for _, o := range []byte(encoded) {
		if isLetterOrDigit(o) || o == '.' || o == '-' || o == '_' {
			b.WriteByte(o)
		} else {
			fmt.Fprintf(&b, "%%%02X", o)
		}
	}
	return b.String()
}

// extended returns a parameter with its charset (RFC 2231 §4).
func (w *writer) extended(name, text string, c *charset) string {
	language := one(w, []string{"", "", "en", "de-AT"})
	return ";\r\n " + name + "*=" + c.name + "'" + language + "'" + percent(c.encode(text))
}

// pieces returns a parameter in pieces (RFC 2231 §3).
func (w *writer) pieces(name, text string) string {
	var b strings.Builder
	for i := 0; len(text) > 0; i++ {
		n := min(1+w.random.IntN(12), len(text))
		fmt.Fprintf(&b, ";\r\n %s*%d=%s", name, i, quoted(text[:n]))
		text = text[n:]
	}
	return b.String()
}

// extendedPieces returns a parameter in pieces with its charset (RFC 2231 §4.1). Pieces of
// ASCII alone may stand as they are.
func (w *writer) extendedPieces(name, text string, c *charset) string {
	var b strings.Builder
	for i, piece := range w.cut(text, c) {
		switch {
		case i == 0:
			fmt.Fprintf(&b, ";\r\n %s*0*=%s''%s", name, strings.ToUpper(c.name), percent(piece))
		case isASCII(piece) && c.name != "iso-2022-jp" && w.chance(2):
			fmt.Fprintf(&b, ";\r\n %s*%d=%s", name, i, quoted(piece))
		default:
			fmt.Fprintf(&b, ";\r\n %s*%d*=%s", name, i, percent(piece))
		}
	}
	return b.String()
}

// cut returns text in a charset, in pieces. Some programs cut through characters.
func (w *writer) cut(text string, c *charset) (pieces []string) {
	if w.chance(2) {
		for runes := []rune(text); len(runes) > 0; {
			n := min(1+w.random.IntN(6), len(runes))
			pieces = append(pieces, c.encode(string(runes[:n])))
			runes = runes[n:]
		}
		return pieces
	}
	w.truth.Odd = true // Python decodes each piece by itself
	for encoded := c.encode(text); len(encoded) > 0; {
		n := min(1+w.random.IntN(12), len(encoded))
		pieces = append(pieces, encoded[:n])
		encoded = encoded[n:]
	}
	return pieces
}

// extensions are of files, with their types.
var extensions = []struct{ ending, kind string }{
	{"pdf", "application/pdf"}, {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"zip", "application/zip"}, {"png", "image/png"}, {"jpeg", "image/jpeg"}, {"bin", "application/octet-stream"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
}

// fileName returns a name of a file without its ending, which no other mail has.
func (w *writer) fileName() string {
	name := w.words(1+w.random.IntN(3)) + fmt.Sprintf(" a%da", w.truth.Number)
	switch w.random.IntN(8) {
	case 0:
		return name + `; "draft" \ copy`
	case 1:
		return name + " (2)"
	case 2:
		return strings.ReplaceAll(name, " ", "_")
	default:
		return name
	}
}

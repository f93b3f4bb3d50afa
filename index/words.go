package index

import (
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Words yields the words of a text in the one form in which they are compared. A word is a
// run of letters, marks and digits, without regard to case, width and, in Latin script,
// diacritics. Of a script that does not separate words, such as Han, it yields each
// character and each pair of neighbours.
func Words(text string) iter.Seq[string] {
	return func(yield func(string) bool) { foldWords(text, true, yield) }
}

// wordsWanted returns the words that a text must have to match a query's: of scripts that
// do not separate words the pairs alone, or the one character that there is.
func wordsWanted(query string) []string {
	var words []string
	foldWords(query, false, func(w string) bool {
		words = append(words, w)
		return true
	})
	return words
}

// foldWords yields the words of text, folded. No word goes over a space, so each piece
// between spaces is folded by itself, and most need no table of Unicode.
func foldWords(text string, single bool, yield func(string) bool) {
	for piece := range strings.FieldsFuncSeq(text, func(r rune) bool { return r <= ' ' }) {
		ok := false
		if isASCII(piece) {
			ok = splitASCII(piece, yield)
		} else {
			ok = splitWords(fold(piece), single, yield)
		}
		if !ok {
			return
		}
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// splitASCII does what fold and splitWords do with ASCII.
func splitASCII(text string, yield func(string) bool) bool {
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) {
			if c := text[i]; c-'0' < 10 || c|0x20-'a' < 26 {
				continue
			}
		}
		if start < i && !yield(strings.ToLower(text[start:i])) {
			return false
		}
		start = i + 1
	}
	return true
}

// fold returns text without regard to case and compatibility forms (UAX #15, NFKC), Latin
// letters without their diacritics, and without what shows nothing, such as soft hyphens
// and spaces without width: they hide words from filters, and would from a search.
func fold(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	decomposed := norm.NFKD.String(cases.Fold().String(text))
	var b strings.Builder
	b.Grow(len(decomposed))
	latin := false
	for _, r := range decomposed {
		if unicode.Is(unicode.Cf, r) {
			continue
		}
		if unicode.Is(unicode.Mn, r) {
			if latin {
				continue
			}
		} else {
			latin = unicode.Is(unicode.Latin, r)
		}
		b.WriteRune(r)
	}
	return norm.NFC.String(cases.Fold().String(b.String()))
}

// unseparated are the scripts that do not put spaces between words.
var unseparated = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// splitWords yields the words of folded text. With single, a character of a script
// that does not separate words is yielded beside the pairs that it is in.
func splitWords(text string, single bool, yield func(string) bool) bool {
	start, wide := -1, false // of the run that is being read
	for i := 0; i <= len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		inWord := i < len(text) && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == 'ー')
		isWide := inWord && (unicode.IsOneOf(unseparated, r) || start >= 0 && wide && (unicode.IsMark(r) || r == 'ー'))
		if start >= 0 && (!inWord || isWide != wide) {
			if !yieldRun(text[start:i], wide, single, yield) {
				return false
			}
			start = -1
		}
		if inWord && start < 0 {
			start, wide = i, isWide
		}
		i += max(n, 1)
	}
	return true
}

func yieldRun(run string, wide, single bool, yield func(string) bool) bool {
	if !wide {
		return yield(run)
	}
	before := -1 // where the character before begins
	for i, r := range run {
		end := i + utf8.RuneLen(r)
		if before >= 0 && !yield(run[before:end]) {
			return false
		}
		if (single || len(run) == end-i) && !yield(run[i:end]) {
			return false
		}
		before = i
	}
	return true
}

// maxTerm bounds a term, in bytes. A longer one ends with a hash of all of it.
const maxTerm = 80

// appendTerm appends the term of a value in a field to dst, which is empty.
func appendTerm(dst []byte, field byte, value string) []byte {
	dst = append(dst, field, ':')
	if len(value) <= maxTerm-2 {
		return append(dst, value...)
	}
	sum := sha256.Sum256([]byte(value))
	end := maxTerm - 2 - 1 - 16
	for !utf8.RuneStart(value[end]) {
		end--
	}
	dst = append(append(dst, value[:end]...), '~')
	return hex.AppendEncode(dst, sum[:8])
}

// term returns the term of a value in a field.
func term(field byte, value string) string { return string(appendTerm(nil, field, value)) }

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
	return func(yield func(string) bool) { splitWords(fold(text), true, yield) }
}

// wordsWanted returns the words that a text must have to match a query's: of scripts that
// do not separate words the pairs alone, or the one character that there is.
func wordsWanted(query string) []string {
	var words []string
	splitWords(fold(query), false, func(w string) bool {
		words = append(words, w)
		return true
	})
	return words
}

// fold returns text without regard to case and compatibility forms (UAX #15, NFKC), and
// Latin letters without their diacritics.
func fold(text string) string {
	if isLowerASCII(text) {
		return text
	}
	decomposed := norm.NFKD.String(cases.Fold().String(text))
	var b strings.Builder
	b.Grow(len(decomposed))
	latin := false
	for _, r := range decomposed {
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

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c-'A' < 26 {
			return false
		}
	}
	return true
}

// unseparated are the scripts that do not put spaces between words.
var unseparated = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// splitWords yields the words of folded text. single says whether a character of a script
// that does not separate words is yielded beside the pairs that it is in.
func splitWords(text string, single bool, yield func(string) bool) {
	start, wide := -1, false // of the run that is being read
	for i := 0; i <= len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		inWord := i < len(text) && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == 'ー')
		isWide := inWord && (unicode.IsOneOf(unseparated, r) || wide && (unicode.IsMark(r) || r == 'ー'))
		if start >= 0 && (!inWord || isWide != wide) {
			if !yieldRun(text[start:i], wide, single, yield) {
				return
			}
			start = -1
		}
		if inWord && start < 0 {
			start, wide = i, isWide
		}
		i += max(n, 1)
	}
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

// term returns the term of a value in a field.
func term(field byte, value string) string {
	if len(value) > maxTerm-2 {
		sum := sha256.Sum256([]byte(value))
		end := maxTerm - 2 - 1 - 16
		for !utf8.RuneStart(value[end]) {
			end--
		}
		value = value[:end] + "~" + hex.EncodeToString(sum[:8])
	}
	return string(field) + ":" + value
}

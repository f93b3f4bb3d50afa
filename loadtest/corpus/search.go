package corpus

import (
	"slices"
	"strings"
	"unicode"
)

// Search is a search and what it has to find.
type Search struct {
	Field string // such as subject, as find and the API call it
	Value string
	Found []int64 // numbers of mails, ascending
	May   []int64 // of those that may be found or not
}

// Fits reports whether the search may find these mails, ascending.
func (s *Search) Fits(found []int64) bool {
	without := func(list []int64) []int64 {
		return slices.DeleteFunc(slices.Clone(list), func(n int64) bool { return slices.Contains(s.May, n) })
	}
	return slices.Equal(without(found), without(s.Found))
}

// Searches returns a search for each word, address, domain, hash and Message-ID of some
// mails, and for each whole subject, in a fixed order.
func Searches(mails []*Truth) []Search {
	terms, may := map[[2]string][]int64{}, map[[2]string][]int64{}
	for _, t := range mails {
		for key := range t.terms() {
			terms[key] = append(terms[key], t.Number)
		}
		for _, w := range t.vagueWords() {
			key := [2]string{"attachment", w}
			may[key] = append(may[key], t.Number)
		}
	}
	var all []Search
	for key, found := range terms {
		slices.Sort(found)
		all = append(all, Search{key[0], key[1], found, may[key]})
	}
	for _, t := range mails {
		if subject := t.Header.Subject.Text; subject != "" {
			all = append(all, Search{Field: "subject", Value: subject, Found: common(terms, words(subject))})
		}
	}
	slices.SortFunc(all, func(a, b Search) int {
		return strings.Compare(a.Field+" "+a.Value, b.Field+" "+b.Value)
	})
	return all
}

// common returns the mails that have all of some words in their subjects.
func common(terms map[[2]string][]int64, words []string) (found []int64) {
	lists := make([][]int64, len(words))
	for i, w := range words {
		lists[i] = terms[[2]string{"subject", w}]
	}
	slices.SortFunc(lists, func(a, b []int64) int { return len(a) - len(b) })
	return slices.DeleteFunc(slices.Clone(lists[0]), func(n int64) bool {
		return slices.ContainsFunc(lists[1:], func(list []int64) bool {
			_, ok := slices.BinarySearch(list, n)
			return !ok
		})
	})
}

// terms returns by what a mail must be found.
func (t *Truth) terms() map[[2]string]bool {
	found := map[[2]string]bool{}
	add := func(field, text string) {
		for _, w := range words(text) {
			found[[2]string{field, w}] = true
		}
	}
	address := func(field, a string) {
		add(field, a)
		if at := strings.LastIndexByte(a, '@'); at >= 0 {
			found[[2]string{field, strings.ToLower(a)}] = true
			found[[2]string{field, strings.ToLower(a[at:])}] = true
		}
	}
	mailboxes := func(field string, list []Mailbox) {
		for _, m := range list {
			add(field, m.Name.Text)
			address(field, m.Address)
		}
	}
	address("from", t.MailFrom)
	mailboxes("from", t.Header.From)
	mailboxes("from", t.Header.ReplyTo)
	for _, r := range t.RcptTo {
		address("to", r)
	}
	mailboxes("to", t.Header.To)
	mailboxes("to", t.Header.Cc)
	add("subject", t.Header.Subject.Text)
	add("text", t.Text)
	for _, p := range t.Parts {
		if !p.Vague {
			add("attachment", p.Name.Text)
		} else {
			for _, run := range strings.FieldsFunc(p.Name.Text, outsideWords) {
				if isASCII(run) {
					add("attachment", run)
				}
			}
		}
		if p.SHA256 != "" {
			found[[2]string{"attachment", p.SHA256}] = true
		}
	}
	for _, id := range append([]string{t.Header.MessageID}, t.Header.References...) {
		if id != "" {
			found[[2]string{"message-id", id}] = true
		}
	}
	return found
}

// vagueWords returns the words of names that readers may see in another way.
func (t *Truth) vagueWords() (all []string) {
	for _, p := range t.Parts {
		if p.Vague {
			all = append(all, words(p.Name.Text)...)
		}
	}
	return all
}

// plainLetters are the Latin letters of the corpus with diacritics, by the letters that they
// are found as.
var plainLetters = strings.NewReplacer(
	"ä", "a", "ö", "o", "ü", "u", "ß", "ss", "ž", "z", "ľ", "l", "ů", "u", "ú", "u", "ý", "y", "ť", "t",
	"č", "c", "ř", "r", "í", "i", "á", "a", "é", "e", "ě", "e", "ň", "n", "š", "s",
)

// words returns the words of a text by which it is found: runs of letters and digits, and of
// Han, Kana and Thai each character and each pair of neighbours.
func words(text string) []string {
	text = plainLetters.Replace(strings.ToLower(text))
	var all []string
	for _, run := range strings.FieldsFunc(text, outsideWords) {
		all = append(all, splitScripts([]rune(run))...)
	}
	return all
}

func outsideWords(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}

// splitScripts splits a run where it changes between scripts with spaces and without.
func splitScripts(run []rune) (all []string) {
	for len(run) > 0 {
		n := 1
		for n < len(run) && unspaced(run[n]) == unspaced(run[0]) {
			n++
		}
		if !unspaced(run[0]) {
			all = append(all, string(run[:n]))
		} else {
			for i := range n {
				all = append(all, string(run[i:i+1]))
				if i > 0 {
					all = append(all, string(run[i-1:i+1]))
				}
			}
		}
		run = run[n:]
	}
	return all
}

func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) || r == 'ー'
}

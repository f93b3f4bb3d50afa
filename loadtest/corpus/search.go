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
}

// Searches returns a search for each word, address, domain, hash and Message-ID of some
// mails, and for each whole subject, in a fixed order.
func Searches(mails []*Truth) []Search {
	terms := map[[2]string][]int64{}
	for _, t := range mails {
		for key := range t.terms() {
			terms[key] = append(terms[key], t.Number)
		}
	}
	var all []Search
	for key, found := range terms {
		slices.Sort(found)
		all = append(all, Search{key[0], key[1], found})
	}
	for _, t := range mails {
		subject := t.Header.Subject.Text
		var found []int64
		for i, w := range words(subject) {
			with := terms[[2]string{"subject", w}]
			if i == 0 {
				found = slices.Clone(with)
			}
			found = slices.DeleteFunc(found, func(n int64) bool { _, ok := slices.BinarySearch(with, n); return !ok })
		}
		if len(found) > 0 {
			all = append(all, Search{"subject", subject, found})
		}
	}
	slices.SortFunc(all, func(a, b Search) int {
		return strings.Compare(a.Field+" "+a.Value, b.Field+" "+b.Value)
	})
	return all
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
		add("attachment", p.Name.Text)
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
	for _, run := range strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}) {
		all = append(all, splitScripts([]rune(run))...)
	}
	return all
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

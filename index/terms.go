package index

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sluice/pipeline"
)

// The fields that a term can be of.
const (
	fieldFrom       = 'f'
	fieldTo         = 't'
	fieldSubject    = 's'
	fieldText       = 'x'
	fieldAttachment = 'a'
	fieldHelo       = 'h'
	fieldMessageID  = 'm'
	fieldVerdict    = 'v'
	fieldHash       = 'd' // the SHA-256 of a part
)

// maxTerms bounds the terms of one message, in number.
const maxTerms = 40_000

// SetTerms sets m.Terms from its other fields and from the text of its text parts.
func SetTerms(m *Message, text string) {
	t := terms{set: make(map[string]struct{}, 256)}
	t.word(fieldHelo, strings.ToLower(m.Client.Helo))
	t.verdicts(m.Verdicts)
	t.word(fieldMessageID, m.Header.MessageID)
	for _, r := range m.Header.References {
		t.word(fieldMessageID, r)
	}
	t.address(fieldFrom, m.MailFrom)
	t.address(fieldFrom, m.Client.Identity)
	t.mailboxes(fieldFrom, m.Header.From, m.Header.ReplyTo)
	t.words(fieldSubject, m.Header.Subject.Text)
	for i := range m.Parts {
		t.words(fieldAttachment, m.Parts[i].Name.Text)
		t.word(fieldHash, m.Parts[i].SHA256)
	}
	for _, r := range m.RcptTo {
		t.address(fieldTo, r)
	}
	t.mailboxes(fieldTo, m.Header.To, m.Header.Cc)
	t.words(fieldText, text)
	if len(t.set) > maxTerms {
		m.Defects = append(m.Defects, Defect{Kind: DefectTermsLeftOut})
	}
	m.Terms = slices.Sorted(maps.Keys(t.set))
}

// terms are terms, at most one more than are kept.
type terms struct {
	set     map[string]struct{}
	scratch []byte
}

func (t *terms) add(field byte, value string) {
	if t.scratch = appendTerm(t.scratch[:0], field, value); len(t.set) <= maxTerms {
		if _, ok := t.set[string(t.scratch)]; !ok {
			t.set[string(t.scratch)] = struct{}{}
		}
	}
}

func (t *terms) word(field byte, value string) {
	if value = strings.ReplaceAll(value, " ", "_"); value != "" {
		t.add(field, value)
	}
}

func (t *terms) words(field byte, text string) {
	for w := range Words(text) {
		t.add(field, w)
	}
}

// address adds an address by its words, as a whole, and by its domain.
func (t *terms) address(field byte, address string) {
	if address == "" {
		return
	}
	t.words(field, address)
	whole := fold(address)
	if at := strings.LastIndexByte(whole, '@'); at >= 0 {
		t.word(field, whole)
		t.word(field, whole[at:])
	}
}

func (t *terms) mailboxes(field byte, lists ...[]Address) {
	for _, list := range lists {
		for i := range list {
			t.words(field, list[i].Name.Text)
			t.address(field, list[i].Address)
		}
	}
}

// verdicts adds the results by the names that they have in events: dmarc=fail.
func (t *terms) verdicts(v *pipeline.Verdicts) {
	if v == nil {
		return
	}
	if v.Skipped != "" {
		t.verdict("skipped", v.Skipped)
		return
	}
	t.verdict("disposition", v.Disposition)
	t.verdict("spf", v.SPF.Result)
	t.verdict("dmarc", v.DMARC.Result)
	t.verdict("iprev", v.IPRev.Result)
	t.verdict("policy", v.DMARC.Policy)
	for i := range v.DKIM {
		t.verdict("dkim", v.DKIM[i].Result)
	}
	if len(v.DKIM) == 0 {
		t.verdict("dkim", "none")
	}
	if v.Forged > 0 {
		t.verdict("forged", "true")
	}
}

// VerdictNames are the names that a search for a verdict may have.
var VerdictNames = []string{"disposition", "dkim", "dmarc", "forged", "iprev", "policy", "skipped", "spf"}

func (t *terms) verdict(name, result string) {
	if result != "" {
		t.word(fieldVerdict, fmt.Sprintf("%s=%s", name, result))
	}
}

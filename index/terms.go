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

// SetTerms sets m.Terms from its other fields and from the text of its text parts. What is
// bounded comes first: the route, every recipient, the subject. Of what a sender can make
// as long as he likes, nothing takes more than half of the room that is left, so that no
// word hides the others.
func SetTerms(m *Message, text string) {
	t := terms{set: make(map[string]struct{}, 256), most: maxTerms}
	t.word(fieldHelo, strings.ToLower(m.Client.Helo))
	t.verdicts(m.Verdicts)
	t.messageID(m.Header.MessageID)
	for _, r := range m.Header.References {
		t.messageID(r)
	}
	for i := range m.Parts {
		t.word(fieldHash, m.Parts[i].SHA256)
	}
	t.address(fieldFrom, m.MailFrom, m.Client.Identity)
	t.address(fieldTo, m.RcptTo...)
	t.words(fieldSubject, m.Header.Subject.Text)
	t.half(func() {
		t.words(fieldFrom, m.MailFrom)
		t.words(fieldFrom, m.Client.Identity)
		t.mailboxes(fieldFrom, m.Header.From, m.Header.ReplyTo)
	})
	t.half(func() {
		for _, r := range m.RcptTo {
			t.words(fieldTo, r)
		}
		t.mailboxes(fieldTo, m.Header.To, m.Header.Cc)
	})
	t.half(func() {
		for i := range m.Parts {
			t.words(fieldAttachment, m.Parts[i].Name.Text)
		}
	})
	t.words(fieldText, text)
	if t.omitted {
		m.Defects = append(m.Defects, Defect{Kind: DefectTermsLeftOut})
	}
	m.Terms = slices.Sorted(maps.Keys(t.set))
}

// terms are terms, at most most of them.
type terms struct {
	set     map[string]struct{}
	most    int
	omitted bool // there were more
	scratch []byte
}

func (t *terms) add(field byte, value string) {
	t.scratch = appendTerm(t.scratch[:0], field, value)
	if _, ok := t.set[string(t.scratch)]; ok {
		return
	}
	if len(t.set) >= t.most {
		t.omitted = true
		return
	}
	t.set[string(t.scratch)] = struct{}{}
}

// half lets add take at most half of the room that is left.
func (t *terms) half(add func()) {
	t.most = (len(t.set) + maxTerms) / 2
	add()
	t.most = maxTerms
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

// messageID adds a Message-ID. Some mailers write spaces into it.
func (t *terms) messageID(id string) { t.word(fieldMessageID, strings.ReplaceAll(id, " ", "")) }

// address adds addresses as a whole, and by their domains.
func (t *terms) address(field byte, addresses ...string) {
	for _, a := range addresses {
		whole := fold(a)
		if at := strings.LastIndexByte(whole, '@'); at >= 0 {
			t.word(field, whole)
			t.word(field, whole[at:])
		}
	}
}

// mailboxes adds addresses, also by their words, and the names beside them.
func (t *terms) mailboxes(field byte, lists ...[]Address) {
	for _, list := range lists {
		for i := range list {
			t.address(field, list[i].Address)
			t.words(field, list[i].Address)
			t.words(field, list[i].Name.Text)
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

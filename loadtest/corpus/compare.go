package corpus

import (
	"fmt"
	"reflect"
	"slices"
)

// Shown is a message as Sluice shows it.
type Shown struct {
	ID string `json:"id"`
	Truth
	Defects []struct {
		Kind string `json:"kind"`
		Part string `json:"part"`
	} `json:"defects"`
}

// Compare returns what of a message that is shown is not true.
func (t *Truth) Compare(shown *Shown) (wrong []string) {
	say := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			wrong = append(wrong, fmt.Sprintf("%s is %.300q, not %.300q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	say("mail_from", shown.MailFrom, t.MailFrom)
	say("rcpt_to", shown.RcptTo, t.RcptTo)
	say("size", shown.Size, t.Size)
	say("sha256", shown.SHA256, t.SHA256)
	say("message_id", shown.Header.MessageID, t.Header.MessageID)
	say("references", sorted(shown.Header.References), sorted(t.Header.References))
	say("from", append([]Mailbox{}, shown.Header.From...), append([]Mailbox{}, t.Header.From...))
	say("to", append([]Mailbox{}, shown.Header.To...), append([]Mailbox{}, t.Header.To...))
	say("cc", append([]Mailbox{}, shown.Header.Cc...), append([]Mailbox{}, t.Header.Cc...))
	say("reply_to", append([]Mailbox{}, shown.Header.ReplyTo...), append([]Mailbox{}, t.Header.ReplyTo...))
	say("subject", shown.Header.Subject.Text, t.Header.Subject.Text)
	say("date", shown.Header.Date.UTC(), t.Header.Date.UTC())
	say("number of parts", len(shown.Parts), len(t.Parts))
	for i := range min(len(shown.Parts), len(t.Parts)) {
		got, want := shown.Parts[i], t.Parts[i]
		if want.Vague {
			got.Name = want.Name
		}
		if want.Type == "" { // it cannot be told
			got.Type, got.Charset = "", want.Charset
		}
		if want.SHA256 == "" {
			got.Size, got.SHA256 = want.Size, ""
		}
		want.Vague = false
		say("part "+want.Number, got, want)
	}
	var kinds []string
	for _, d := range shown.Defects {
		kinds = append(kinds, d.Kind)
	}
	for _, kind := range t.Broken {
		if !slices.Contains(kinds, kind) {
			wrong = append(wrong, fmt.Sprintf("defects are %q, without %s", kinds, kind))
		}
	}
	if len(t.Broken) == 0 && !t.Odd && len(kinds) > 0 {
		wrong = append(wrong, fmt.Sprintf("defects are %q, not none", kinds))
	}
	return wrong
}

func sorted(of []string) []string { return slices.Sorted(slices.Values(of)) }

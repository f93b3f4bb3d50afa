package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/pipeline"
)

// someVerdicts are those of a message that passed, with something in each field.
func someVerdicts() *pipeline.Verdicts {
	return &pipeline.Verdicts{
		Disposition: pipeline.DispositionQuarantine, Cause: "spf_fail", HeaderTooLong: true, Forged: 2,
		SPF: pipeline.SPFVerdict{
			Result: "pass", Identity: "mailfrom", Domain: "example.org", Mechanism: `exists:"\`, Reason: "none", Helo: "none",
		},
		DKIM: []pipeline.DKIMVerdict{
			{Domain: "example.org", Selector: "s1", Algorithm: "rsa-sha256", Result: "pass"},
			{Result: "neutral", Reason: "malformed signature"},
		},
		DKIMSkipped: 3,
		DMARC: pipeline.DMARCVerdict{
			Result: "fail", Reason: "why", From: "a.example.org", OrganizationalDomain: "example.org", RecordDomain: "example.org",
			Policy: "quarantine", SPFAligned: true, DKIMAligned: true, Disposition: "none", Override: "local_policy",
			Record: &pipeline.DMARCRecord{
				Published: "reject", Domain: "none", Subdomains: "reject", Missing: "quarantine", AlignDKIM: "r", AlignSPF: "s",
				Test: true, Reports: "mailto:a@example.org",
			},
		},
		IPRev: pipeline.IPRevVerdict{Result: "pass", Name: "mail.example.org"},
	}
}

// changedVerdicts returns someVerdicts as JSON with texts replaced.
func changedVerdicts(replaced ...string) string {
	return strings.NewReplacer(replaced...).Replace(string(someVerdicts().AppendJSON(nil)))
}

// eachText calls each with the place of every text in a value.
func eachText(v reflect.Value, each func(*string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachText(v.Elem(), each)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			eachText(v.Field(i), each)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachText(v.Index(i), each)
		}
	case reflect.String:
		each(v.Addr().Interface().(*string))
	}
}

// expectedVerdicts are those that an event of some has.
func expectedVerdicts(v *pipeline.Verdicts) *pipeline.Verdicts {
	if v == nil {
		return nil
	}
	text, _ := json.Marshal(v)
	var made pipeline.Verdicts
	_ = json.Unmarshal(text, &made)
	eachText(reflect.ValueOf(&made), func(s *string) { *s = legible(*s) })
	if len(made.DKIM) == 0 {
		made.DKIM = nil
	}
	return &made
}

// drawVerdicts draws those of a message, or none.
func drawVerdicts(r *rapid.T) *pipeline.Verdicts {
	switch rapid.IntRange(0, 3).Draw(r, "verdicts") {
	case 0:
		return nil
	case 1:
		return &pipeline.Verdicts{Skipped: pipeline.SkippedAuthenticated}
	}
	v := someVerdicts()
	for range rapid.IntRange(0, 3).Draw(r, "signatures") {
		v.DKIM = append(v.DKIM, v.DKIM[0])
	}
	if rapid.Bool().Draw(r, "no record") {
		v.DMARC.Record = nil
	}
	n := 0
	eachText(reflect.ValueOf(v), func(s *string) {
		n++
		*s = rapid.StringN(1, 40, 200).Draw(r, fmt.Sprint("text ", n))
	})
	v.Skipped = ""
	v.Forged = int(rapid.Int32Min(0).Draw(r, "forged"))
	v.HeaderTooLong = rapid.Bool().Draw(r, "too long")
	return v
}

// TestVerdictsAreAsTheirTags shows that what is written is what encoding/json makes of the
// tags, in the same order.
func TestVerdictsAreAsTheirTags(t *testing.T) {
	v := someVerdicts()
	for range 2 {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		if got := string(v.AppendJSON(nil)) + "\n"; got != out.String() {
			t.Errorf("%s\nwant %s", got, &out)
		}
		v.DMARC.Record, v.DKIM = nil, []pipeline.DKIMVerdict{}
	}
}

// TestVerdictsFit shows that verdicts of the longest texts are made to fit, and that those
// of ordinary ones stay as they are.
func TestVerdictsFit(t *testing.T) {
	v := someVerdicts()
	name, text := strings.Repeat("a", 253), strings.Repeat(`"`, 4000)
	v.DKIM[0].Domain, v.DKIM[0].Selector, v.IPRev.Name = name, name, name
	v.DMARC.From, v.DMARC.OrganizationalDomain, v.DMARC.RecordDomain = name, name, name
	v.SPF.Domain, v.SPF.Mechanism, v.SPF.Reason, v.DMARC.Record.Reports = text, text, text, text
	for len(v.DKIM) < 8 {
		v.DKIM = append(v.DKIM, v.DKIM[0])
	}
	v.Bound()
	if n := len(v.AppendJSON(nil)); n > pipeline.VerdictReserve || len(v.DKIM)+v.DKIMSkipped != 8+3 {
		t.Errorf("%d bytes, %d signatures", n, len(v.DKIM))
	}
	v = someVerdicts()
	for len(v.DKIM) < 8 {
		v.DKIM = append(v.DKIM, v.DKIM[0])
	}
	if v.Bound(); len(v.DKIM) != 8 || v.DKIMSkipped != 3 || v.SPF != someVerdicts().SPF {
		t.Errorf("%+v", v)
	}
}

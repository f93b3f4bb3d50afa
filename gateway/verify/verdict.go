package verify

import (
	"fmt"
	"strings"

	"sluice/gateway/verify/authres"
	"sluice/gateway/verify/dmarc"
	"sluice/gateway/verify/spf"
	"sluice/pipeline"
)

// Why there is no author where the header could not be read.
const (
	reasonTooLong  = "header too long"
	reasonUnread   = "header not read in time"
	overrideTest   = "policy_test_mode"
	overrideExempt = "trusted_forwarder"
	overrideLocal  = "local_policy"
)

func (e *Evaluation) verdict() pipeline.Verdict {
	d := e.decide()
	v := e.verdicts(d)
	v.Bound()
	return pipeline.Verdict{Field: e.field(), Name: e.name.Name, Verdicts: v, Refusal: e.refusal(d)}
}

// reason returns why the message has no one author.
func (e *Evaluation) reason() string {
	switch {
	case !e.headerRead:
		return reasonUnread
	case e.tooLong:
		return reasonTooLong
	}
	return string(e.fromReason)
}

func (e *Evaluation) verdicts(d decision) *pipeline.Verdicts {
	v := &pipeline.Verdicts{
		Disposition: string(d.action), Cause: d.cause, HeaderTooLong: e.tooLong, Forged: e.forged,
		SPF: pipeline.SPFVerdict{
			Result: string(e.spf.Result), Identity: string(e.spf.Identity), Domain: printable(e.spf.Domain),
			Mechanism: e.spf.Mechanism, Reason: printable(e.spf.Reason), Helo: string(e.helo.Result),
		},
		DMARC: e.dmarcVerdict(d),
		IPRev: pipeline.IPRevVerdict{Result: string(e.name.Result), Name: e.name.Name},
	}
	for _, s := range e.signatures {
		v.DKIM = append(v.DKIM, pipeline.DKIMVerdict{
			Domain: s.Domain, Selector: s.Selector, Algorithm: s.Algorithm, Result: s.Verdict.String(), Reason: string(s.Reason),
		})
	}
	if e.dkim != nil {
		v.DKIMSkipped = e.dkim.Skipped()
	}
	return v
}

func (e *Evaluation) dmarcVerdict(d decision) pipeline.DMARCVerdict {
	r := &e.dmarc
	v := pipeline.DMARCVerdict{
		Result: r.Verdict.String(), Reason: e.reason(), From: r.From,
		OrganizationalDomain: r.Organization, RecordDomain: r.RecordDomain,
		SPFAligned: r.SPFAligned, DKIMAligned: r.DKIMAligned, Disposition: dispositions[d.dmarc],
	}
	if r.RecordDomain == "" {
		return v
	}
	v.Policy = r.Policy.String()
	v.Record = &pipeline.DMARCRecord{
		Published: r.Published.String(), Domain: r.Record.Domain.String(), Subdomains: r.Record.Subdomains.String(),
		Missing: r.Record.Missing.String(), AlignDKIM: alignment(r.Record.StrictDKIM), AlignSPF: alignment(r.Record.StrictSPF),
		Test: r.Test, Reports: printable(r.Record.Reports),
	}
	if r.Verdict != dmarc.Fail || v.Disposition == v.Record.Published {
		return v
	}
	switch {
	case d.exempt:
		v.Override = overrideExempt
	case v.Disposition == v.Policy:
		v.Override = overrideTest
	default:
		v.Override = overrideLocal
	}
	return v
}

// dispositions are actions on account of DMARC, in the words of RFC 9990.
var dispositions = map[Action]string{
	Accept: "none", Quarantine: "quarantine", Defer: "reject", Reject: "reject",
}

func alignment(strict bool) string {
	if strict {
		return "s"
	}
	return "r"
}

// field returns Authentication-Results.
func (e *Evaluation) field() []byte {
	var results []authres.Result
	if e.spf.Identity == spf.MailFrom {
		results = append(results, authres.SPF(string(e.spf.Result), e.spfReason(e.spf), e.claim.MailFrom, ""))
	}
	results = append(results, authres.SPF(string(e.helo.Result), e.spfReason(e.helo), "", e.claim.Helo))
	for _, s := range e.signatures {
		results = append(results, authres.DKIM(s.Verdict.String(), string(s.Reason), authres.Signature{
			Domain: s.Domain, Selector: s.Selector, Algorithm: s.Algorithm, Prefix: s.Prefix,
		}))
	}
	switch {
	case !e.headerRead:
		results = append(results, authres.DKIM("temperror", e.reason(), authres.Signature{}))
	case e.dkim == nil:
		results = append(results, authres.DKIM("permerror", e.reason(), authres.Signature{}))
	case len(e.signatures) == 0:
		results = append(results, authres.DKIM("none", "", authres.Signature{}))
	}
	policy := ""
	if e.dmarc.RecordDomain != "" {
		policy = e.dmarc.Published.String()
	}
	results = append(results,
		authres.DMARC(e.dmarc.Verdict.String(), e.reason(), e.from, policy),
		authres.IPRev(string(e.name.Result), e.claim.Client))
	return authres.Append(nil, e.options.AuthservID, results)
}

// spfReason returns why SPF has its result, for people.
func (e *Evaluation) spfReason(v *spf.Verdict) string {
	if v.Mechanism != "" {
		return "matched " + v.Mechanism
	}
	return v.Reason
}

// maxText is how long a text of a stranger may be.
const maxText = 256

// printable returns a text in printable ASCII, cut where it is too long.
func printable(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return text
	}
	quoted := fmt.Sprintf("%+q", text)
	return quoted[1 : len(quoted)-1]
}

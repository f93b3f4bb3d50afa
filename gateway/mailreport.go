package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/verify"
	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/dmarc"
	"sluice/pipeline"
)

// mailReport is what sluice verify says about a mail. Its JSON has everything, its text
// what fits on a screen.
type mailReport struct {
	Mail       mailFacts         `json:"mail"`
	Client     clientReport      `json:"client"`
	Servers    []string          `json:"dns"`
	Lookups    []lookupReport    `json:"lookups"`
	Steps      []stepReport      `json:"spf_steps"`
	Signatures []signatureReport `json:"signatures"`
	Forged     []int             `json:"forged_at"` // where fields in our name stand
	Verdicts   json.RawMessage   `json:"verdicts"`  // as in the event
	Field      string            `json:"authentication_results"`
	Reply      string            `json:"refusal"` // the reply that refuses the mail, or empty

	verdict pipeline.Verdict
	details verify.Details
}

type mailFacts struct {
	Name      string `json:"name"`
	Bytes     int    `json:"bytes"`
	Header    int    `json:"header_bytes"`
	Fields    int    `json:"fields"`
	Converted bool   `json:"lf_read_as_crlf"`
	Stored    bool   `json:"stored"` // by a gateway, whose fields on top do not count
}

type clientReport struct {
	Address  netip.Addr `json:"address"`
	Helo     string     `json:"helo"`
	MailFrom string     `json:"mail_from"`
	Now      time.Time  `json:"now"`
}

// stepReport is one step of SPF.
type stepReport struct {
	Identity string `json:"identity"`
	Depth    int    `json:"depth"`
	Domain   string `json:"domain"`
	Term     string `json:"term"`
	Result   string `json:"result"`
}

// signatureReport is what one signature was compared with.
type signatureReport struct {
	Domain     string   `json:"domain"`
	Selector   string   `json:"selector"`
	Result     string   `json:"result"`
	Reason     string   `json:"reason"`
	Aligned    bool     `json:"aligned"`
	KeyName    string   `json:"key_name"`
	KeyBits    int      `json:"key_bits"`
	Canon      string   `json:"canonicalization"`
	Header     string   `json:"header_hashed"` // the canonical fields
	Missing    []string `json:"fields_missing"`
	BodyLength int64    `json:"body_bytes_hashed"`
	BodyTotal  int64    `json:"body_bytes"`
	BodyHash   string   `json:"body_hash"`
	SignedHash string   `json:"signed_body_hash"`
}

// fill takes what is printed from the verdict and its details.
func (r *mailReport) fill() {
	r.Field = string(r.verdict.Field)
	r.Verdicts = r.verdict.Verdicts.AppendJSON(nil)
	r.Reply = map[pipeline.Kind]string{
		pipeline.KindDMARC: "550 5.7.1", pipeline.KindSPF: "550 5.7.23", pipeline.KindPolicy: "550 5.7.1",
		pipeline.KindSPFError: "451 4.7.24", pipeline.KindUnverified: "451 4.7.0",
	}[pipeline.KindOf(r.verdict.Refusal)]
	for i, s := range r.details.Signatures {
		report := signatureReport{
			Domain: s.Domain, Selector: s.Selector, Result: s.Verdict.String(), Reason: string(s.Reason), KeyBits: s.KeyBits,
			Aligned: i < len(r.details.DMARC.Signatures) && r.details.DMARC.Signatures[i],
		}
		if e := s.Evidence; e != nil {
			report.KeyName, report.Canon, report.Header, report.Missing = e.Key, e.Canon, string(e.Header), e.Missing
			report.BodyLength, report.BodyTotal = e.BodyLength, e.BodyTotal
			report.BodyHash = base64.StdEncoding.EncodeToString(e.BodyHash)
			report.SignedHash = base64.StdEncoding.EncodeToString(e.Signed)
		}
		r.Signatures = append(r.Signatures, report)
	}
}

func (r *mailReport) printJSON(to io.Writer) error {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// reportWidth is how wide a line of the text may be. What strangers wrote is cut there.
const reportWidth = 110

// lines are the text of a report.
type lines struct{ bytes.Buffer }

func (l *lines) add(format string, args ...any) { fmt.Fprintf(&l.Buffer, format+"\n", args...) }

// shown returns a text of a stranger in printable ASCII, cut to a width.
func shown(text string, width int) string {
	quoted := strconv.QuoteToASCII(text)
	quoted = strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	if len(quoted) > width {
		return quoted[:width-3] + "..."
	}
	return quoted
}

func (r *mailReport) print(to io.Writer) error {
	var l lines
	l.add("mail   %s: %d bytes, %d fields in a header of %d", r.Mail.Name, r.Mail.Bytes, r.Mail.Fields, r.Mail.Header)
	if r.Mail.Converted {
		l.add("       Its lines end in LF alone; it was read as if they ended in CRLF.")
	}
	if r.Mail.Stored {
		l.add("       A gateway has stored it; it was read as it came, without what stands on top.")
	}
	l.add("client %s, HELO %s, MAIL FROM <%s>, at %s", r.Client.Address, shown(r.Client.Helo, 60),
		shown(r.Client.MailFrom, 60), r.Client.Now.Format(time.RFC3339))
	if n := len(r.Forged); n > 0 {
		l.add("       %d fields Authentication-Results are in the name of this gateway", n)
	}
	r.addLookups(&l)
	l.add("")
	v := r.verdict.Verdicts
	l.add("iprev=%s  %s%s", v.IPRev.Result, v.IPRev.Name, r.details.Name.Reason)
	r.addSPF(&l)
	for i := range r.Signatures {
		r.addSignature(&l, i)
	}
	if len(r.Signatures) == 0 {
		l.add("dkim=none  no signatures")
	}
	if v.DKIMSkipped > 0 {
		l.add("    %d more signatures were not looked at", v.DKIMSkipped)
	}
	r.addDMARC(&l)
	l.add("")
	l.WriteString(strings.ReplaceAll(r.Field, "\r\n", "\n"))
	switch {
	case r.Reply != "":
		l.add("%s: %s, by verify.policy.%s %s", v.Disposition, r.Reply, v.Cause, pipeline.Told(r.verdict.Refusal))
	case v.Cause != "":
		l.add("%s, by verify.policy.%s", v.Disposition, v.Cause)
	default:
		l.add("%s", v.Disposition)
	}
	_, err := l.WriteTo(to)
	return err
}

func (r *mailReport) addLookups(l *lines) {
	l.add("dns    %d lookups at %s", len(r.Lookups), strings.Join(r.Servers, ", "))
	for _, one := range r.Lookups {
		answer := one.Error
		if answer == "" {
			answer = strings.Join(one.Answers, " | ")
		}
		head := fmt.Sprintf("    %-4s %s", one.Type, shown(one.Name, 60))
		l.add("%s  %s", head, shown(answer, max(reportWidth-len(head), 40)))
	}
}

func (r *mailReport) addSPF(l *lines) {
	add := func(identity, result, domain, why string) {
		l.add("spf=%s  %s %s: %s", result, identity, shown(domain, 60), shown(why, reportWidth))
		for _, s := range r.Steps {
			if s.Identity == identity && s.Term != "" {
				l.add("    %s%s  %s: %s", strings.Repeat("  ", s.Depth), shown(s.Domain, 40), shown(s.Term, 60), shown(s.Result, 60))
			}
		}
	}
	why := func(mechanism, reason string) string {
		if mechanism != "" {
			return mechanism + " matched"
		}
		return reason
	}
	d := r.details
	if d.SPF.Identity != d.HELO.Identity {
		add(string(d.SPF.Identity), string(d.SPF.Result), d.SPF.Domain, why(d.SPF.Mechanism, d.SPF.Reason))
	}
	add(string(d.HELO.Identity), string(d.HELO.Result), d.HELO.Domain, why(d.HELO.Mechanism, d.HELO.Reason))
}

// maxShownFields is how many fields of a signature are shown.
const maxShownFields = 24

func (r *mailReport) addSignature(l *lines, i int) {
	s, result := &r.Signatures[i], r.details.Signatures[i]
	head := fmt.Sprintf("dkim=%s  %s, selector %s, %s %s", s.Result, s.Domain, s.Selector, result.Algorithm, s.Canon)
	if s.Reason != "" {
		head += ": " + s.Reason
	}
	l.add("%s", head)
	if result.Evidence == nil {
		return // the field itself has decided
	}
	key := s.KeyName
	if s.KeyBits > 0 {
		key += fmt.Sprintf(", RSA of %d bits", s.KeyBits)
	}
	if result.Testing {
		key += ", testing (t=y)"
	}
	l.add("    key     %s", key)
	l.add("    header  %d bytes were hashed:", len(s.Header))
	signed := splitFields(s.Header)
	for _, field := range signed[:min(len(signed), maxShownFields)] {
		l.add("            %s", shown(field, reportWidth-12))
	}
	if n := len(signed) - maxShownFields; n > 0 {
		l.add("            and %d more fields", n)
	}
	if len(s.Missing) > 0 {
		l.add("            named in h=, and not there: %s", shown(strings.Join(s.Missing, " "), reportWidth-40))
	}
	l.add("    body    %d of %d bytes were hashed", s.BodyLength, s.BodyTotal)
	switch s.BodyHash {
	case s.SignedHash:
		l.add("    bh=     %s, as computed", s.SignedHash)
	case "":
		l.add("    bh=     %s was not compared: the body is shorter than l= says", s.SignedHash)
	default:
		l.add("    bh=     %s is signed,", s.SignedHash)
		l.add("            %s was computed: the body was changed, or is of another mail", s.BodyHash)
	}
	switch result.Reason {
	case dkim.ReasonSignature:
		l.add("    b=      is not of this header by this key: a field was changed, or the key")
	case dkim.ReasonNone, dkim.ReasonLength, dkim.ReasonOldForm:
		l.add("    b=      is of this header by this key")
	default:
		l.add("    b=      was not compared")
	}
}

// splitFields returns the fields of a canonical header.
func splitFields(header string) []string {
	var list []string
	for _, line := range strings.SplitAfter(header, "\r\n") {
		if n := len(list); n > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			list[n-1] += line
		} else if line != "" {
			list = append(list, line)
		}
	}
	return list
}

func (r *mailReport) addDMARC(l *lines) {
	v, d := r.verdict.Verdicts.DMARC, r.details.DMARC
	if v.Reason != "" {
		l.add("dmarc=%s  %s", v.Result, v.Reason)
		return
	}
	l.add("dmarc=%s  From: %s", v.Result, v.From)
	if v.Record == nil {
		l.add("    record  none was found")
		return
	}
	rec := v.Record
	l.add("    record  at %s: p=%s sp=%s np=%s adkim=%s aspf=%s t=%s; for this domain %s",
		v.RecordDomain, rec.Domain, rec.Subdomains, rec.Missing, rec.AlignDKIM, rec.AlignSPF, map[bool]string{true: "y", false: "n"}[rec.Test], rec.Published)
	organization := v.OrganizationalDomain
	if organization == "" {
		organization = "not known"
	}
	l.add("    organizational domain: %s", organization)
	l.add("    spf     %s: %s", shown(r.details.SPF.Domain, 60), aligned(string(r.details.SPF.Result), d.SPFAligned))
	for _, s := range r.Signatures {
		l.add("    dkim    %s: %s", s.Domain, aligned(s.Result, s.Aligned))
	}
	if d.Verdict != dmarc.Fail {
		return
	}
	why := ""
	if v.Override != "" {
		why = ", not " + rec.Published + ": " + v.Override
	}
	l.add("    policy  %s; disposition %s%s", v.Policy, v.Disposition, why)
}

// aligned returns what a domain with a result means for DMARC.
func aligned(result string, ok bool) string {
	switch {
	case ok:
		return "passed, aligned with From"
	case result == "pass":
		return "passed, not aligned with From"
	}
	return result
}

package pipeline

import "strconv"

// Verdicts are what was found out about where a message comes from (SPF, DKIM, DMARC), as
// its event says it. All texts are printable ASCII, names of domains are in A-labels and
// lower case. Together they take at most VerdictReserve bytes of the event.
type Verdicts struct {
	// Skipped is why nothing was verified, one of the Skipped constants. All else is empty
	// then.
	Skipped string `json:"skipped,omitempty"`
	// Disposition is what policy makes of the message, one of the Disposition constants.
	Disposition string `json:"disposition"`
	// Cause is the key of verify.policy that decided so, empty where none did.
	Cause string `json:"cause"`
	// HeaderTooLong says that the header was too long to be read.
	HeaderTooLong bool `json:"header_too_long"`
	// Forged is the number of fields that claimed to be our Authentication-Results.
	Forged int `json:"forged"`

	SPF  SPFVerdict    `json:"spf"`
	DKIM []DKIMVerdict `json:"dkim"`
	// DKIMSkipped is the number of signatures beyond those of DKIM.
	DKIMSkipped int          `json:"dkim_skipped"`
	DMARC       DMARCVerdict `json:"dmarc"`
	IPRev       IPRevVerdict `json:"iprev"`
}

// Why a message is not verified.
const (
	SkippedTrusted       = "trusted"       // its client is in trusted_networks
	SkippedAuthenticated = "authenticated" // its client has proven who it is
)

// What policy makes of a message. What is deferred or rejected has no event.
const (
	DispositionAccept     = "accept"
	DispositionQuarantine = "quarantine"
	DispositionDefer      = "defer"
	DispositionReject     = "reject"
)

// SPFVerdict is the outcome of SPF (RFC 7208).
type SPFVerdict struct {
	Result    string `json:"result"`    // of RFC 7208 §2.6
	Identity  string `json:"identity"`  // mailfrom, or helo for the null sender
	Domain    string `json:"domain"`    // that was checked
	Mechanism string `json:"mechanism"` // that matched, empty if none did
	Reason    string `json:"reason"`    // for people
	Helo      string `json:"helo"`      // the result for the name of HELO
}

// DKIMVerdict is the outcome of one signature (RFC 6376).
type DKIMVerdict struct {
	Domain    string `json:"domain"`    // d=, empty where it is malformed
	Selector  string `json:"selector"`  // s=, as d=
	Algorithm string `json:"algorithm"` // a=, empty where it is unknown
	Result    string `json:"result"`    // of RFC 8601 §2.7.1
	Reason    string `json:"reason"`    // why it did not pass
}

// DMARCVerdict is the outcome of DMARC (RFC 9989).
type DMARCVerdict struct {
	Result               string       `json:"result"` // pass, fail, none, temperror, permerror
	Reason               string       `json:"reason"` // why the author has no one domain
	From                 string       `json:"from"`   // the author's domain, or empty
	OrganizationalDomain string       `json:"organizational_domain"`
	RecordDomain         string       `json:"record_domain"` // which has the record, or empty
	Policy               string       `json:"policy"`        // that holds, under t=y too
	SPFAligned           bool         `json:"spf_aligned"`   // it passed, for an aligned domain
	DKIMAligned          bool         `json:"dkim_aligned"`  // as SPFAligned
	Disposition          string       `json:"disposition"`   // none, quarantine or reject
	Override             string       `json:"override"`      // why it is not Published; of RFC 9990
	Record               *DMARCRecord `json:"record"`        // nil where there is none
}

// DMARCRecord is the policy that a domain has published.
type DMARCRecord struct {
	Published  string `json:"published"` // for the author's domain: one of the next three
	Domain     string `json:"p"`
	Subdomains string `json:"sp"`
	Missing    string `json:"np"`
	AlignDKIM  string `json:"adkim"` // r or s
	AlignSPF   string `json:"aspf"`  // r or s
	Test       bool   `json:"t"`
	Reports    string `json:"rua"`
}

// IPRevVerdict is the outcome of looking up the client's name (RFC 8601 §2.7.3).
type IPRevVerdict struct {
	Result string `json:"result"` // pass, fail, temperror, permerror
	Name   string `json:"name"`   // that the address has confirmed, or empty
}

// AppendJSON appends the verdicts as they stand in an event.
func (v *Verdicts) AppendJSON(dst []byte) []byte {
	if v.Skipped != "" {
		return append(appendMember(append(dst, '{'), "skipped", v.Skipped), '}')
	}
	dst = appendMember(append(dst, '{'), "disposition", v.Disposition)
	dst = appendMember(append(dst, ','), "cause", v.Cause)
	dst = appendFlag(dst, "header_too_long", v.HeaderTooLong)
	dst = append(dst, `,"forged":`...)
	dst = strconv.AppendInt(dst, int64(v.Forged), 10)
	dst = v.SPF.append(dst)
	dst = append(dst, `,"dkim":[`...)
	for i := range v.DKIM {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.DKIM[i].append(dst)
	}
	dst = append(dst, `],"dkim_skipped":`...)
	dst = strconv.AppendInt(dst, int64(v.DKIMSkipped), 10)
	dst = v.DMARC.append(dst)
	dst = appendMember(append(dst, `,"iprev":{`...), "result", v.IPRev.Result)
	dst = appendMember(append(dst, ','), "name", v.IPRev.Name)
	return append(dst, `}}`...)
}

func (s *SPFVerdict) append(dst []byte) []byte {
	dst = appendMember(append(dst, `,"spf":{`...), "result", s.Result)
	dst = appendMember(append(dst, ','), "identity", s.Identity)
	dst = appendMember(append(dst, ','), "domain", s.Domain)
	dst = appendMember(append(dst, ','), "mechanism", s.Mechanism)
	dst = appendMember(append(dst, ','), "reason", s.Reason)
	dst = appendMember(append(dst, ','), "helo", s.Helo)
	return append(dst, '}')
}

func (d *DKIMVerdict) append(dst []byte) []byte {
	dst = appendMember(append(dst, '{'), "domain", d.Domain)
	dst = appendMember(append(dst, ','), "selector", d.Selector)
	dst = appendMember(append(dst, ','), "algorithm", d.Algorithm)
	dst = appendMember(append(dst, ','), "result", d.Result)
	dst = appendMember(append(dst, ','), "reason", d.Reason)
	return append(dst, '}')
}

func (d *DMARCVerdict) append(dst []byte) []byte {
	dst = appendMember(append(dst, `,"dmarc":{`...), "result", d.Result)
	dst = appendMember(append(dst, ','), "reason", d.Reason)
	dst = appendMember(append(dst, ','), "from", d.From)
	dst = appendMember(append(dst, ','), "organizational_domain", d.OrganizationalDomain)
	dst = appendMember(append(dst, ','), "record_domain", d.RecordDomain)
	dst = appendMember(append(dst, ','), "policy", d.Policy)
	dst = appendFlag(dst, "spf_aligned", d.SPFAligned)
	dst = appendFlag(dst, "dkim_aligned", d.DKIMAligned)
	dst = appendMember(append(dst, ','), "disposition", d.Disposition)
	dst = appendMember(append(dst, ','), "override", d.Override)
	dst = append(dst, `,"record":`...)
	if d.Record == nil {
		return append(dst, `null}`...)
	}
	r := d.Record
	dst = appendMember(append(dst, '{'), "published", r.Published)
	dst = appendMember(append(dst, ','), "p", r.Domain)
	dst = appendMember(append(dst, ','), "sp", r.Subdomains)
	dst = appendMember(append(dst, ','), "np", r.Missing)
	dst = appendMember(append(dst, ','), "adkim", r.AlignDKIM)
	dst = appendMember(append(dst, ','), "aspf", r.AlignSPF)
	dst = appendFlag(dst, "t", r.Test)
	dst = appendMember(append(dst, ','), "rua", r.Reports)
	return append(dst, `}}`...)
}

// appendMember appends a name and a text.
func appendMember(dst []byte, name, text string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	return appendString(append(dst, `":`...), text)
}

// appendFlag appends a comma, a name, and true or false.
func appendFlag(dst []byte, name string, flag bool) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	return strconv.AppendBool(append(dst, `":`...), flag)
}

// Bound makes the verdicts take at most VerdictReserve bytes of the event: it leaves out
// signatures, the last first, and shortens what remains if it has to.
func (v *Verdicts) Bound() {
	for v.size() > VerdictReserve && len(v.DKIM) > 0 {
		v.DKIM = v.DKIM[:len(v.DKIM)-1]
		v.DKIMSkipped++
	}
	shorten := []*string{
		&v.SPF.Reason, &v.SPF.Mechanism, &v.SPF.Domain, &v.IPRev.Name, &v.DMARC.Reason,
	}
	if v.DMARC.Record != nil {
		shorten = append(shorten, &v.DMARC.Record.Reports)
	}
	for _, text := range shorten {
		if v.size() > VerdictReserve {
			*text = ""
		}
	}
}

// verdictFrame is the most bytes around the verdicts in an event.
const verdictFrame = int64(len(`,"verdicts":`))

// size returns the number of bytes that the verdicts take in an event.
func (v *Verdicts) size() int64 { return verdictFrame + int64(len(v.AppendJSON(nil))) }

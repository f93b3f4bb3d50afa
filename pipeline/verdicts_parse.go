package pipeline

import (
	"fmt"
	"math"
)

func (o *eventObject) verdicts(name string) *Verdicts {
	v := o.object(name)
	if v.has("skipped") {
		return &Verdicts{Skipped: v.text("skipped", 1)}
	}
	return &Verdicts{
		Disposition: v.text("disposition", 1), Cause: v.text("cause", 0),
		HeaderTooLong: v.bool("header_too_long"), Forged: v.count("forged"),
		SPF: v.spf("spf"), DKIM: v.dkim("dkim"), DKIMSkipped: v.count("dkim_skipped"),
		DMARC: v.dmarc("dmarc"), IPRev: v.iprev("iprev"),
	}
}

// count returns a number that fits into an int everywhere.
func (o *eventObject) count(name string) int { return int(o.integer(name, math.MaxInt32)) }

func (o *eventObject) spf(name string) SPFVerdict {
	s := o.object(name)
	return SPFVerdict{
		Result: s.text("result", 1), Identity: s.text("identity", 1), Domain: s.text("domain", 0),
		Mechanism: s.text("mechanism", 0), Reason: s.text("reason", 0), Helo: s.text("helo", 1),
	}
}

func (o *eventObject) dkim(name string) []DKIMVerdict {
	value := o.member(name)
	if o.err != nil {
		return nil
	}
	if value[0] != '[' {
		o.wrong(name, "an array")
		return nil
	}
	var list []DKIMVerdict
	for rest := elements(value); len(rest) > 0; {
		var one []byte
		one, rest = nextValue(rest)
		d := o.eventParser.object(fmt.Sprintf("%s%s[%d]", o.path, name, len(list)), one)
		list = append(list, DKIMVerdict{
			Domain: d.text("domain", 0), Selector: d.text("selector", 0), Algorithm: d.text("algorithm", 0),
			Result: d.text("result", 1), Reason: d.text("reason", 0),
		})
	}
	return list
}

func (o *eventObject) dmarc(name string) DMARCVerdict {
	d := o.object(name)
	v := DMARCVerdict{
		Result: d.text("result", 1), Reason: d.text("reason", 0), From: d.text("from", 0),
		OrganizationalDomain: d.text("organizational_domain", 0), RecordDomain: d.text("record_domain", 0),
		Policy: d.text("policy", 0), SPFAligned: d.bool("spf_aligned"), DKIMAligned: d.bool("dkim_aligned"),
		Disposition: d.text("disposition", 1), Override: d.text("override", 0),
	}
	if d.holds("record") {
		r := d.object("record")
		v.Record = &DMARCRecord{
			Published: r.text("published", 1), Domain: r.text("p", 1), Subdomains: r.text("sp", 1), Missing: r.text("np", 1),
			AlignDKIM: r.text("adkim", 1), AlignSPF: r.text("aspf", 1), Test: r.bool("t"), Reports: r.text("rua", 0),
		}
	}
	return v
}

func (o *eventObject) iprev(name string) IPRevVerdict {
	i := o.object(name)
	return IPRevVerdict{Result: i.text("result", 1), Name: i.text("name", 0)}
}

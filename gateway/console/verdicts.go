package console

import (
	"net/url"
	"strings"

	"sluice/pipeline"
)

// badge is one verdict in short.
type badge struct {
	Name, Result string
	Kind         string // pass, fail, warn or none
	Query        string // the search for such messages
}

func badgeOf(name, label, result string) badge {
	b := badge{Name: label, Result: result, Kind: "none", Query: "/?verdict=" + url.QueryEscape(name+"="+result)}
	switch result {
	case "pass", "accept":
		b.Kind = "pass"
	case "fail", "reject", "permerror", "quarantine":
		b.Kind = "fail"
	case "softfail", "temperror", "policy":
		b.Kind = "warn"
	}
	return b
}

// badgesOf returns what the list shows of verdicts.
func badgesOf(v *pipeline.Verdicts) []badge {
	switch {
	case v == nil:
		return nil
	case v.Skipped != "":
		b := badgeOf("skipped", v.Skipped, v.Skipped)
		b.Result = "not verified"
		return []badge{b}
	}
	dkim := "none"
	for i := range v.DKIM {
		if result := v.DKIM[i].Result; dkim == "none" || result == "pass" {
			dkim = result
		}
	}
	list := []badge{badgeOf("dmarc", "DMARC", v.DMARC.Result), badgeOf("spf", "SPF", v.SPF.Result), badgeOf("dkim", "DKIM", dkim)}
	if v.Disposition != pipeline.DispositionAccept {
		list = append(list, badgeOf("disposition", v.Disposition, v.Disposition))
	}
	return list
}

// check is one verdict with what it rests on.
type check struct {
	Badge badge
	About string
}

// checksOf returns the verdicts of a message, the one that decides first.
func checksOf(v *pipeline.Verdicts) []check {
	if v == nil || v.Skipped != "" {
		return nil
	}
	list := []check{
		{badgeOf("disposition", "Disposition", v.Disposition), about("decided by", v.Cause)},
		{badgeOf("dmarc", "DMARC", v.DMARC.Result), aboutDMARC(&v.DMARC)},
		{badgeOf("spf", "SPF", v.SPF.Result), about(v.SPF.Identity, v.SPF.Domain, "by", v.SPF.Mechanism, "", v.SPF.Reason, "HELO:", v.SPF.Helo)},
	}
	for i := range v.DKIM {
		d := &v.DKIM[i]
		list = append(list, check{badgeOf("dkim", "DKIM", d.Result),
			about("for", d.Domain, "selector", d.Selector, "by", d.Algorithm, "", d.Reason)})
	}
	if len(v.DKIM) == 0 {
		list = append(list, check{badgeOf("dkim", "DKIM", "none"), "no signature"})
	}
	return append(list, check{badgeOf("iprev", "Reverse DNS", v.IPRev.Result), v.IPRev.Name})
}

func aboutDMARC(d *pipeline.DMARCVerdict) string {
	aligned := "nothing"
	switch {
	case d.SPFAligned && d.DKIMAligned:
		aligned = "SPF and DKIM"
	case d.SPFAligned:
		aligned = "SPF"
	case d.DKIMAligned:
		aligned = "DKIM"
	}
	if d.Result == "none" {
		aligned = ""
	}
	return about("for", d.From, "policy", d.Policy, "aligned:", aligned, "disposition", d.Disposition, "override", d.Override, "", d.Reason)
}

// about returns words and what follows them, without those that nothing follows.
func about(pairs ...string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, strings.TrimSpace(pairs[i]+" "+pairs[i+1]))
		}
	}
	return strings.Join(list, ", ")
}

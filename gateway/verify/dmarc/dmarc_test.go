package dmarc_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/verify/dmarc"
	"sluice/gateway/verify/txt"
)

// zone answers from a map and counts. Names that are neither in it nor above one that is
// do not exist.
type zone struct {
	records map[string][]string
	asked   []string
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, txt.Outcome) {
	z.asked = append(z.asked, name)
	if records, ok := z.records[name]; ok {
		switch {
		case slices.Contains(records, "fail"):
			return nil, txt.Failed
		case len(records) == 0:
			return nil, txt.Absent
		}
		return records, txt.Found
	}
	for known := range z.records {
		if strings.HasSuffix(known, "."+name) {
			return nil, txt.Absent
		}
	}
	return nil, txt.NXDomain
}

func pass(domain string) dmarc.Identifier {
	return dmarc.Identifier{Domain: domain, Check: dmarc.CheckPassed}
}

// judge judges a message from a domain under records, each "domain record" or "domain".
func judge(from string, spf dmarc.Identifier, dkim []dmarc.Identifier, records ...string) (dmarc.Result, *zone) {
	z := &zone{records: map[string][]string{}}
	for _, line := range records {
		name, record, ok := strings.Cut(line, " ")
		switch {
		case !ok:
			z.records[name] = []string{}
		case record == "exists":
			z.records[name] = []string{"v=spf1 -all"}
		default:
			z.records["_dmarc."+name] = append(z.records["_dmarc."+name], record)
		}
	}
	return dmarc.Evaluate(context.Background(), z, dmarc.Message{From: from, SPF: spf, DKIM: dkim}), z
}

// TestPolicies has a record for each sentence about policies.
func TestPolicies(t *testing.T) {
	for _, c := range []struct {
		from    string
		records []string
		verdict dmarc.Verdict
		policy  dmarc.Policy
		at      string
	}{
		{"e.com", nil, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=DMARC1; p=reject"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"e.com", []string{"e.com v = DMARC1 ; p = REJECT ;"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"e.com", []string{"e.com v=dmarc1; p=reject"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com p=reject; v=DMARC1"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=DMARC12; p=reject"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=DMARC1"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; rua=mailto:a@e.com"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=what; rua=mailto:a@e.com"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=what"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=DMARC1; p=reject; sp=what; rua=https://e.com/"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=reject; np=what; rua=nobody"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=DMARC1; pct=0; p=reject; ri=x; rf=y; zz=1; fo=q"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; adkim=x; aspf; t=maybe; psd=q; p=reject"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=reject; t=y"}, dmarc.Fail, dmarc.Quarantine, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=quarantine; t=y"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=none; t=y"}, dmarc.Fail, dmarc.None, "e.com"},
		{"e.com", []string{"e.com v=DMARC1; p=none", "e.com v=DMARC1; p=reject"}, dmarc.NoPolicy, 0, ""},
		{"e.com", []string{"e.com v=spf1", "e.com v=DMARC1; p=reject"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=reject", "a.e.com v=DMARC1; p=none"}, dmarc.Fail, dmarc.None, "a.e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=reject; sp=none", "a.e.com exists"}, dmarc.Fail, dmarc.None, "e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=none; sp=quarantine; np=reject", "a.e.com exists"}, dmarc.Fail, dmarc.Quarantine, "e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=none; sp=quarantine; np=reject", "a.e.com"}, dmarc.Fail, dmarc.Quarantine, "e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=none; sp=quarantine; np=reject"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"a.e.com", []string{"e.com v=DMARC1; p=quarantine"}, dmarc.Fail, dmarc.Quarantine, "e.com"},
		{"a.b.e.com", []string{"e.com v=DMARC1; p=reject", "b.e.com v=DMARC1; p=none"}, dmarc.Fail, dmarc.Reject, "e.com"},
		{"a.b.e.com", []string{"e.com v=DMARC1; p=reject", "b.e.com v=DMARC1; p=quarantine; psd=n"}, dmarc.Fail, dmarc.Quarantine, "b.e.com"},
		{"a.e.gov", []string{"gov v=DMARC1; psd=y; p=none; np=reject", "a.e.gov exists"}, dmarc.Fail, dmarc.None, "gov"},
		{"a.e.gov", []string{"gov v=DMARC1; psd=y; p=none; np=reject"}, dmarc.Fail, dmarc.Reject, "gov"},
		{"a.e.gov", []string{"gov v=DMARC1; psd=y; p=reject", "e.gov v=DMARC1; p=none"}, dmarc.Fail, dmarc.None, "e.gov"},
		{"gov", []string{"gov v=DMARC1; psd=y; p=reject"}, dmarc.Fail, dmarc.Reject, "gov"},
		{"", []string{"e.com v=DMARC1; p=reject"}, dmarc.PermError, 0, ""},
		{"e.com", []string{"e.com fail"}, dmarc.TempError, 0, ""},
		{"a.e.com", []string{"a.e.com fail", "e.com v=DMARC1; p=reject"}, dmarc.TempError, 0, ""},
		{"a.e.com", []string{"e.com v=DMARC1; p=reject", "com fail"}, dmarc.TempError, 0, ""},
	} {
		got, z := judge(c.from, dmarc.Identifier{}, nil, c.records...)
		if got.Verdict != c.verdict || got.Policy != c.policy || got.RecordDomain != c.at || len(z.asked) > 9 {
			t.Errorf("%s under %q: %+v", c.from, c.records, got)
		}
	}
}

// TestAlignment shows which domains that passed count.
func TestAlignment(t *testing.T) {
	unknown := func(domain string) dmarc.Identifier {
		return dmarc.Identifier{Domain: domain, Check: dmarc.CheckUnknown}
	}
	const relaxed, strict = "e.com v=DMARC1; p=reject", "e.com v=DMARC1; p=reject; adkim=s; aspf=S"
	for _, c := range []struct {
		from    string
		id      dmarc.Identifier
		records []string
		verdict dmarc.Verdict
	}{
		{"e.com", pass("e.com"), []string{relaxed}, dmarc.Pass},
		{"e.com", pass("a.e.com"), []string{relaxed}, dmarc.Pass},
		{"a.e.com", pass("b.e.com"), []string{relaxed}, dmarc.Pass},
		{"a.e.com", pass("e.com"), []string{relaxed}, dmarc.Pass},
		{"e.com", pass("ae.com"), []string{relaxed}, dmarc.Fail},
		{"e.com", pass("f.com"), []string{relaxed}, dmarc.Fail},
		{"e.com", dmarc.Identifier{Domain: "e.com"}, []string{relaxed}, dmarc.Fail},
		{"e.com", pass(""), []string{relaxed}, dmarc.Fail},
		{"e.com", pass("e.com"), []string{strict}, dmarc.Pass},
		{"e.com", pass("a.e.com"), []string{strict}, dmarc.Fail},
		{"a.e.com", pass("e.com"), []string{strict}, dmarc.Fail},
		{"e.com", pass("a.e.com"), []string{relaxed, "a.e.com v=DMARC1; psd=n"}, dmarc.Fail},
		{"a.gov", pass("b.gov"), []string{"gov v=DMARC1; psd=y; p=reject"}, dmarc.Fail},
		{"a.b.gov", pass("c.b.gov"), []string{"gov v=DMARC1; psd=y; p=reject"}, dmarc.Pass},
		{"e.com", unknown("e.com"), []string{relaxed}, dmarc.TempError},
		{"e.com", unknown("a.e.com"), []string{relaxed}, dmarc.TempError},
		{"e.com", unknown("evil.com"), []string{relaxed, "evil.com fail"}, dmarc.Fail},
		{"e.com", unknown("a.e.com"), []string{strict}, dmarc.Fail},
		{"e.com", pass("a.e.com"), []string{relaxed, "a.e.com fail"}, dmarc.TempError},
		{"e.com", pass("e.com"), []string{relaxed, "com fail"}, dmarc.Pass},
		{"e.com", pass("a.e.com"), []string{relaxed, "com fail"}, dmarc.TempError},
	} {
		for _, spf := range []bool{true, false} {
			first, rest := c.id, []dmarc.Identifier{pass("other.example")}
			if !spf {
				first, rest = rest[0], []dmarc.Identifier{pass("x.example"), c.id}
			}
			got, _ := judge(c.from, first, rest, c.records...)
			ok := c.verdict == dmarc.Pass
			if got.Verdict != c.verdict || got.SPFAligned != (ok && spf) || got.DKIMAligned != (ok && !spf) {
				t.Errorf("%s, %s under %q: %+v", c.from, c.id.Domain, c.records, got)
			}
		}
	}
}

// TestWalk shows which names are asked for.
func TestWalk(t *testing.T) {
	const long = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
	_, z := judge(long, dmarc.Identifier{}, nil)
	want := []string{
		"_dmarc." + long, "_dmarc.g.h.i.j.mail.example.com", "_dmarc.h.i.j.mail.example.com", "_dmarc.i.j.mail.example.com",
		"_dmarc.j.mail.example.com", "_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com",
	}
	if !slices.Equal(z.asked, want) {
		t.Errorf("asked %q", z.asked)
	}
	_, z = judge("a.example.com", pass("other.org"), nil, "example.com v=DMARC1; psd=n; p=none")
	if want := []string{"_dmarc.a.example.com", "_dmarc.example.com"}; !slices.Equal(z.asked, want) {
		t.Errorf("asked %q", z.asked)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("v=DMARC1; p=reject; sp=none; np=x; rua=mailto:a@b,!; t=y; psd=n")
	f.Fuzz(func(t *testing.T, text string) {
		if r, ok := dmarc.ParseRecord(text); ok && (r.Domain > dmarc.Reject || r.Subdomains > dmarc.Reject || r.Missing > dmarc.Reject) {
			t.Errorf("%+v", r)
		}
		judge("a.b.c", pass("b.c"), nil, "b.c "+text)
	})
}

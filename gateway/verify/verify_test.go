package verify_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/gateway/verify"
	"sluice/gateway/verify/fields"
	"sluice/pipeline"
)

// world is the DNS of the tests.
const world = `
	example.com TXT v=spf1 ip4:192.0.2.1 -all
	_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:agg@example.com
	k._domainkey.example.com TXT KEY
	mx.example.com TXT v=spf1 a -all
	mx.example.com A 192.0.2.1
	192.0.2.1 PTR mx.example.com
	198.51.100.7 PTR fake.example.com
	list.example.net TXT v=spf1 ip4:198.51.100.0/24 -all
	k._domainkey.list.example.net TXT KEY
	soft.example.org TXT v=spf1 ~all
	_dmarc.soft.example.org TXT v=DMARC1; p=quarantine; t=y
	quiet.example.org TXT v=spf1 -all
	_dmarc.quiet.example.org TXT v=DMARC1; p=none
	down.example.org ERR
	_dmarc.down.example.org ERR
	spf-down.example.org ERR
	_dmarc.spf-down.example.org TXT v=DMARC1; p=quarantine
	none.example TXT nothing`

func worldZone() *zone { return newZone(strings.ReplaceAll(world, "KEY", keyRecord)) }

const (
	good    = "192.0.2.1"    // may send for example.com
	foreign = "198.51.100.7" // may send for list.example.net
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// mail is a message and who brings it.
type mail struct{ client, helo, from, text string }

// verdictOf verifies a message whose body comes in parts of a size.
func verdictOf(ctx context.Context, o verify.Options, z *zone, m mail, size int) (pipeline.Verdict, []int) {
	e := verify.Begin(&o, verify.Claim{
		Client: netip.MustParseAddr(m.client), Helo: m.helo, MailFrom: m.from, Now: now, DNS: z,
	})
	e.CheckSPF(ctx)
	e.CheckName(ctx)
	header, body := m.text, ""
	if at := strings.Index(m.text, "\r\n\r\n"); at >= 0 {
		header, body = m.text[:at+4], m.text[at+4:]
	}
	tooLong := len(header) > fields.MaxHeader
	if tooLong {
		header, body = header[:fields.MaxHeader], header[fields.MaxHeader:]+body
	}
	forged := e.Header(chunks(header, size), tooLong)
	for _, name := range e.Names() {
		e.Fetch(ctx, name)
	}
	for _, part := range chunks(body, size) {
		e.Write(part)
	}
	return e.End(ctx), forged
}

func chunks(text string, size int) [][]byte {
	var parts [][]byte
	for part := range slices.Chunk([]byte(text), size) {
		parts = append(parts, part)
	}
	return parts
}

// flat returns a field on one line.
func flat(field []byte) string { return strings.ReplaceAll(string(field), "\r\n\t", " ") }

func options() verify.Options {
	return verify.Options{AuthservID: "mx.example.net", Policy: verify.DefaultPolicy()}
}

// TestVerdicts has a message for each kind of outcome, with the field and what stands in
// the event.
func TestVerdicts(t *testing.T) {
	const body = "text\r\n"
	for _, c := range []struct {
		name  string
		mail  mail
		field string // parts of it, by "|"
		event string // parts of it, by "|"
	}{
		{"all pass", mail{good, "mx.example.com", "a@example.com", signed("example.com", "A <a@example.com>", body)},
			`spf=pass reason="matched ip4:192.0.2.1" smtp.mailfrom=a@example.com; spf=pass reason="matched a" smtp.helo=mx.example.com;` +
				` dkim=pass header.d=example.com header.s=k header.a=ed25519-sha256 header.b=|` +
				`dmarc=pass header.from=example.com polrec.p=reject; iprev=pass policy.iprev=192.0.2.1`,
			`"disposition":"accept","cause":"","header_too_long":false,"forged":0|"spf_aligned":true,"dkim_aligned":true|` +
				`"iprev":{"result":"pass","name":"mx.example.com"}|"organizational_domain":"example.com"|` +
				`"record":{"published":"reject","p":"reject","sp":"reject","np":"reject","adkim":"r","aspf":"r","t":false,"rua":"mailto:agg@example.com"}`},
		{"forwarded", mail{foreign, "list.example.net", "a@example.com", signed("example.com", "a@example.com", body)},
			"spf=fail|spf=pass|dkim=pass|dmarc=pass|iprev=permerror",
			`"result":"fail","identity":"mailfrom","domain":"example.com","mechanism":"-all"|"helo":"pass"|"spf_aligned":false,"dkim_aligned":true`},
		{"through a list", mail{foreign, "list.example.net", "l@list.example.net", signed("example.com", "a@example.com", body) + "footer\r\n"},
			`spf=pass|dkim=fail reason="body hash mismatch"|dmarc=fail`,
			`"disposition":"quarantine","cause":"dmarc_reject"|"policy":"reject"|"disposition":"quarantine","override":"local_policy"`},
		{"spoofed", mail{foreign, "x", "e@evil.example", "From: a@example.com\r\n\r\n" + body},
			`spf=none|dkim=none;|dmarc=fail header.from=example.com polrec.p=reject`,
			`"dkim":[],"dkim_skipped":0|"cause":"dmarc_reject"`},
		{"null sender", mail{good, "mx.example.com", "", "From: a@example.com\r\n\r\n" + body},
			`; spf=pass reason="matched a" smtp.helo=mx.example.com; dkim=none; dmarc=pass`,
			`"identity":"helo","domain":"mx.example.com"|"spf_aligned":true,"dkim_aligned":false`},
		{"test mode", mail{good, "x", "a@soft.example.org", "From: a@soft.example.org\r\n\r\n" + body},
			"spf=softfail|dmarc=fail header.from=soft.example.org polrec.p=quarantine",
			`"disposition":"accept"|"policy":"none"|"disposition":"none","override":"policy_test_mode"|"t":true`},
		{"p=none", mail{good, "x", "a@quiet.example.org", "From: a@quiet.example.org\r\n\r\n" + body},
			"spf=fail|dmarc=fail header.from=quiet.example.org polrec.p=none",
			`"disposition":"accept"|"policy":"none"|"disposition":"none","override":""`},
		{"no policy", mail{good, "x", "", "From: a@none.example\r\n\r\n" + body},
			"dmarc=none header.from=none.example;", `"result":"none","reason":"","from":"none.example"|"record":null`},
		{"no answer", mail{good, "x", "a@down.example.org", "From: a@down.example.org\r\n\r\n" + body},
			"spf=temperror|dmarc=temperror", `"disposition":"accept"`},
		{"no From", mail{good, "x", "", "To: a@example.com\r\n\r\n" + body},
			`dmarc=permerror reason="no From field"`, `"result":"permerror","reason":"no From field","from":""`},
		{"no end of the header", mail{good, "x", "", "From: a@example.com\r\n"}, "dkim=none; dmarc=fail", `"from":"example.com"`},
		{"nothing", mail{good, "x", "", ""}, `dmarc=permerror reason="no From field"`, `"from":""`},
		{"a long header", mail{good, "mx.example.com", "a@example.com", "From: a@example.com\r\nX: " + strings.Repeat("x", fields.MaxHeader) + "\r\n\r\n" + body},
			`spf=pass|dkim=permerror reason="header too long"; dmarc=permerror reason="header too long"; iprev`,
			`"header_too_long":true|"reason":"header too long","from":""`},
		{"many fields", mail{good, "x", "", "From: a@example.com\r\n" + strings.Repeat("x:\r\n", fields.MaxFields) + "\r\n" + body},
			`dmarc=permerror reason="header too long"`, `"header_too_long":true`},
		{"odd texts", mail{good, "\"\\\r\n", "é\"@\xff", "From: a@example.com\r\n\r\n" + body},
			`smtp.mailfrom="?\"@?"|smtp.helo="\"\\??"`, `"domain":"\\ufffd"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var first string
			for _, size := range []int{1 << 20, 7} {
				v, _ := verdictOf(t.Context(), options(), worldZone(), c.mail, size)
				field, event := flat(v.Field), string(v.Verdicts.AppendJSON(nil))
				for _, want := range strings.Split(c.field, "|") {
					if !strings.Contains(field, want) {
						t.Errorf("%q is not in %s", want, field)
					}
				}
				for _, want := range strings.Split(c.event, "|") {
					if !strings.Contains(event, want) {
						t.Errorf("%q is not in %s", want, event)
					}
				}
				if v.Refusal != nil || !strings.HasPrefix(field, "Authentication-Results: mx.example.net; spf=") {
					t.Errorf("refusal %v, %s", v.Refusal, field)
				}
				if all := field + event; first == "" {
					first = all
				} else if all != first {
					t.Errorf("in parts %s\nat once %s", all, first)
				}
			}
		})
	}
}

// TestForgedFields shows that they are found before anything is verified, and counted.
func TestForgedFields(t *testing.T) {
	text := "Authentication-Results: mx.example.net; spf=pass\r\nauthentication-results : MX.Example.Net; x\r\n" +
		"Authentication-Results: other.example; spf=pass\r\nFrom: a@example.com\r\n\r\n"
	for _, size := range []int{1 << 20, 3} {
		v, forged := verdictOf(t.Context(), options(), worldZone(), mail{good, "x", "", text}, size)
		if !slices.Equal(forged, []int{0, 50}) || v.Verdicts.Forged != 2 {
			t.Errorf("forged at %v, %d counted", forged, v.Verdicts.Forged)
		}
	}
	long := text[:50] + "X: " + strings.Repeat("x", fields.MaxHeader) + "\r\n\r\n"
	if v, forged := verdictOf(t.Context(), options(), worldZone(), mail{good, "x", "", long}, 1<<16); len(forged) != 1 || !v.Verdicts.HeaderTooLong {
		t.Errorf("in a long header: %v, %+v", forged, v.Verdicts)
	}
}

// TestLateChecksAreTemporary shows what a message gets whose deadline has passed: nothing
// is waited for, and nothing fails.
func TestLateChecksAreTemporary(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	o := options()
	o.Policy = verify.Policy{BadFrom: verify.Reject, SPFFail: verify.Reject, TempError: verify.Defer}
	m := mail{good, "mx.example.com", "a@example.com", signed("example.com", "a@example.com", "")}
	v, _ := verdictOf(ended, o, worldZone(), m, 100)
	e := verify.Begin(&o, verify.Claim{Client: netip.MustParseAddr(good), Helo: m.helo, MailFrom: m.from, Now: now, DNS: worldZone()})
	for name, v := range map[string]pipeline.Verdict{"no answers": v, "no checks": e.End(ended)} {
		got := v.Verdicts
		if got.SPF.Result != "temperror" || got.SPF.Helo != "temperror" || got.SPF.Domain != "example.com" || got.IPRev.Result != "temperror" {
			t.Errorf("%s: %+v", name, got)
		}
		if name == "no answers" && (got.DMARC.Result != "temperror" || got.DKIM[0].Result != "temperror") {
			t.Errorf("%s: %+v", name, got)
		}
		if name == "no checks" && (got.DMARC.Result != "temperror" || got.DMARC.Reason != "header not read in time" ||
			!strings.Contains(flat(v.Field), `dkim=temperror reason="header not read in time"; dmarc=temperror`)) {
			t.Errorf("%s: %+v", name, got)
		}
		if pipeline.KindOf(v.Refusal) != pipeline.KindSPFError {
			t.Errorf("%s: %v", name, v.Refusal)
		}
	}
}

// TestWhatWasFetchedIsNotAskedAgain shows that End waits for nothing that was fetched, and
// that Fetch does not change what is asked.
func TestWhatWasFetchedIsNotAskedAgain(t *testing.T) {
	o := options()
	m := mail{good, "mx.example.com", "a@example.com", signed("example.com", "a@example.com", "text\r\n")}
	asked := map[bool][]string{}
	for _, fetch := range []bool{false, true} {
		z := worldZone()
		e := verify.Begin(&o, verify.Claim{Client: netip.MustParseAddr(good), Helo: m.helo, MailFrom: m.from, Now: now, DNS: z})
		e.CheckSPF(t.Context())
		e.Header([][]byte{[]byte(strings.TrimSuffix(m.text, "text\r\n"))}, false)
		e.Write([]byte("text\r\n"))
		if fetch {
			for _, name := range e.Names() {
				e.Fetch(t.Context(), name)
				e.Fetch(t.Context(), name)
			}
			before := len(z.asked)
			if v := e.End(t.Context()); v.Verdicts.DMARC.Result != "pass" || len(z.asked) != before {
				t.Errorf("End asked for %q", z.asked[before:])
			}
		} else {
			e.End(t.Context())
		}
		slices.Sort(z.asked)
		asked[fetch] = z.asked
	}
	if !slices.Equal(asked[false], asked[true]) {
		t.Errorf("asked %q\nfetched %q", asked[false], asked[true])
	}
}

// TestRefusals has the reply of each refusal.
func TestRefusals(t *testing.T) {
	const body = "\r\n\r\ntext\r\n"
	spoofed := mail{foreign, "x", "a@example.com", "From: a@example.com" + body}
	quarantined := mail{good, "x", "a@spf-down.example.org", "From: a@spf-down.example.org" + body}
	down := mail{good, "x", "a@none.example", "From: a@down.example.org" + body}
	noFrom := mail{good, "x", "", "To: a@example.com" + body}
	listed := mail{foreign, "list.example.net", "a@example.com", "From: a@example.com" + body}
	passed := mail{good, "mx.example.com", "a@example.com", "From: a@example.com" + body}
	for _, c := range []struct {
		name    string
		mail    mail
		policy  verify.Policy
		exempt  string
		refusal pipeline.Kind
		told    string
		cause   string
	}{
		{"default", spoofed, verify.DefaultPolicy(), "", pipeline.KindNone, "", "dmarc_reject"},
		{"nothing set", spoofed, verify.Policy{}, "", pipeline.KindNone, "", ""},
		{"dmarc_reject", spoofed, verify.Policy{DMARCReject: verify.Reject}, "", pipeline.KindDMARC, "example.com", "dmarc_reject"},
		{"dmarc_reject, later", spoofed, verify.Policy{DMARCReject: verify.Defer}, "", pipeline.KindUnverified, "", "dmarc_reject"},
		{"dmarc_quarantine is another", spoofed, verify.Policy{DMARCQuarantine: verify.Reject}, "", pipeline.KindNone, "", ""},
		{"spf_fail", spoofed, verify.Policy{SPFFail: verify.Reject}, "", pipeline.KindSPF, "", "spf_fail"},
		{"spf_fail, later", spoofed, verify.Policy{SPFFail: verify.Defer}, "", pipeline.KindUnverified, "", "spf_fail"},
		{"both", spoofed, verify.Policy{SPFFail: verify.Reject, DMARCReject: verify.Reject}, "", pipeline.KindDMARC, "example.com", "dmarc_reject"},
		{"the stricter", spoofed, verify.Policy{SPFFail: verify.Reject, DMARCReject: verify.Quarantine}, "", pipeline.KindSPF, "", "spf_fail"},
		{"SPF unknown", quarantined, verify.Policy{TempError: verify.Defer}, "", pipeline.KindSPFError, "", "temperror"},
		{"DMARC unknown", down, verify.Policy{TempError: verify.Defer}, "", pipeline.KindUnverified, "", "temperror"},
		{"unknown and refused", down, verify.Policy{TempError: verify.Reject}, "", pipeline.KindPolicy, "", "temperror"},
		{"bad_from", noFrom, verify.Policy{BadFrom: verify.Reject}, "", pipeline.KindPolicy, "(no From field)", "bad_from"},
		{"bad_from, exempt", noFrom, verify.Policy{BadFrom: verify.Reject}, "mx.example.com", pipeline.KindPolicy, "(no From field)", "bad_from"},
		{"exempt", listed, verify.Policy{SPFFail: verify.Reject, DMARCReject: verify.Reject}, "list.example.net", pipeline.KindNone, "", ""},
		{"exempt below", listed, verify.Policy{SPFFail: verify.Reject}, "*.example.net", pipeline.KindNone, "", ""},
		{"exempt above", listed, verify.Policy{SPFFail: verify.Reject}, "example.net", pipeline.KindSPF, "", "spf_fail"},
		{"not below itself", listed, verify.Policy{SPFFail: verify.Reject}, "*.list.example.net", pipeline.KindSPF, "", "spf_fail"},
		{"all pass", passed, verify.Policy{verify.Reject, verify.Reject, verify.Reject, verify.Reject, verify.Reject}, "", pipeline.KindNone, "", ""},
	} {
		o := options()
		o.Policy = c.policy
		if c.exempt != "" {
			o.Exempt = []string{c.exempt}
		}
		v, _ := verdictOf(t.Context(), o, worldZone(), c.mail, 100)
		if pipeline.KindOf(v.Refusal) != c.refusal || pipeline.Told(v.Refusal) != c.told || v.Verdicts.Cause != c.cause {
			t.Errorf("%s: refusal %v, cause %q; %s", c.name, v.Refusal, v.Verdicts.Cause, v.Verdicts.AppendJSON(nil))
		}
		refused := v.Refusal != nil
		if d := v.Verdicts.Disposition; refused != (d == pipeline.DispositionDefer || d == pipeline.DispositionReject) {
			t.Errorf("%s: refusal %v, disposition %s", c.name, v.Refusal, d)
		}
	}
}

// FuzzEvaluation: whatever a message is, its verdict fits, is the same in parts, and its
// field is one field.
func FuzzEvaluation(f *testing.F) {
	f.Add("From: a@example.com\r\n\r\ntext", "a@example.com", "mx.example.com", uint8(3))
	f.Add(signed("example.com", "a@example.com", "x\r\n"), "", "[192.0.2.1]", uint8(1))
	f.Fuzz(func(t *testing.T, text, from, helo string, size uint8) {
		m := mail{good, helo, from, text}
		whole, _ := verdictOf(t.Context(), options(), worldZone(), m, 1<<20)
		parts, _ := verdictOf(t.Context(), options(), worldZone(), m, int(size)+1)
		event := string(whole.Verdicts.AppendJSON(nil))
		if string(whole.Field) != string(parts.Field) || event != string(parts.Verdicts.AppendJSON(nil)) {
			t.Errorf("%s\nin parts %s", whole.Field, parts.Field)
		}
		if len(event) > pipeline.VerdictReserve {
			t.Errorf("%d bytes", len(event))
		}
		list, _ := fields.Split(whole.Field)
		if len(list) != 1 || strings.ContainsFunc(strings.ReplaceAll(string(whole.Field), "\r\n\t", ""), func(r rune) bool { return r > '~' }) {
			t.Errorf("%q", whole.Field)
		}
	})
}

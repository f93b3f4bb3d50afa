package dkim_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/fields"
	"sluice/gateway/verify/txt"
)

// zone answers from a map. Names that are not in it do not exist.
type zone map[string][]string

func (z zone) LookupTXT(_ context.Context, name string) ([]string, txt.Outcome) {
	switch records, ok := z[name]; {
	case !ok:
		return nil, txt.NXDomain
	case records == nil:
		return nil, txt.Failed
	case len(records) == 0:
		return nil, txt.Absent
	default:
		return records, txt.Found
	}
}

// keys has the public keys of testdata.
func keys(t testing.TB) zone {
	t.Helper()
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	z := zone{}
	for line := range strings.Lines(string(text)) {
		name, record, _ := strings.Cut(strings.TrimSpace(line), " ")
		z[name+"._domainkey.example.com"] = []string{record}
	}
	return z
}

// verify verifies a mail that comes in parts, whose lengths the function returns.
func verify(mail []byte, z zone, o dkim.Options, cut func(left int) int) []dkim.Result {
	var head fields.Reader
	var v *dkim.Verifier
	for len(mail) > 0 {
		part := mail[:min(cut(len(mail)), len(mail))]
		mail = mail[len(part):]
		if v == nil {
			part = part[head.Write(part):]
			if !head.Done() && !head.TooLong() && len(mail) > 0 {
				continue
			}
			list, ok := fields.Split(head.Text())
			if !ok || head.TooLong() {
				return nil
			}
			v = dkim.New(list, o)
			clear(head.Text()) // it is done with it
		}
		v.Write(part)
	}
	return v.Results(context.Background(), z)
}

func whole(left int) int { return left }

// TestForeignSignaturesPass shows that what dkimpy, opendkim and Mail::DKIM sign is valid,
// however the mail is cut, and that it no longer is once the mail has changed.
func TestForeignSignaturesPass(t *testing.T) {
	z, r := keys(t), rand.New(rand.NewPCG(1, 2))
	names, err := filepath.Glob("testdata/*-*-*-*.eml")
	if err != nil || len(names) != 76 {
		t.Fatalf("%d mails, %v", len(names), err)
	}
	cuts := map[string]func(int) int{
		"whole": whole, "bytes": func(int) int { return 1 }, "parts": func(int) int { return 1 + r.IntN(40) },
	}
	for _, name := range names {
		mail, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		o := dkim.Options{From: "example.com", Now: 1795780000}
		for how, cut := range cuts {
			got := verify(mail, z, o, cut)
			if len(got) != 1 || got[0].Verdict != dkim.Pass || got[0].Domain != "example.com" || len(got[0].Prefix) != 8 {
				t.Errorf("%s, %s: %+v", name, how, got)
			}
		}
		if got := verify(append(bytes.Clone(mail), "x\r\n"...), z, o, whole); got[0].Reason != dkim.ReasonBody {
			t.Errorf("%s with more text: %+v", name, got)
		}
		changed := bytes.Replace(mail, []byte("Date: Fri"), []byte("Date: Sat"), 1)
		if got := verify(changed, z, o, whole); got[0].Reason != dkim.ReasonSignature {
			t.Errorf("%s with another date: %+v", name, got)
		}
	}
}

// TestPolicy shows what is refused although it is signed as it should be.
func TestPolicy(t *testing.T) {
	for name, want := range map[string]dkim.Result{
		"sha1":   {Verdict: dkim.Policy, Reason: dkim.ReasonSHA1},
		"small":  {Verdict: dkim.Policy, Reason: dkim.ReasonSmallKey, KeyBits: 768},
		"length": {Verdict: dkim.Policy, Reason: dkim.ReasonLength, KeyBits: 2048},
	} {
		mail, err := os.ReadFile("testdata/policy-" + name + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		got := verify(mail, keys(t), dkim.Options{}, whole)
		if len(got) != 1 || got[0].Verdict != want.Verdict || got[0].Reason != want.Reason || got[0].KeyBits != want.KeyBits {
			t.Errorf("%s: %+v", name, got)
		}
		got = verify(bytes.TrimSuffix(mail, []byte("more\r\n")), keys(t), dkim.Options{}, whole)
		if passed := got[0].Verdict == dkim.Pass; passed != (name == "length") {
			t.Errorf("%s without more: %+v", name, got)
		}
	}
}

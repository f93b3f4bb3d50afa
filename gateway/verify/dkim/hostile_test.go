package dkim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/fields"
	"sluice/internal/testkit"
)

const validLooking = "v=1; a=rsa-sha256; c=%s; d=%s; s=rsa; h=%s; bh=" +
	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA"

// hostile has mails that are made to cost much.
func hostile() map[string][]byte {
	field := func(canon, domain, names string) string {
		return "DKIM-Signature: " + fmt.Sprintf(validLooking, canon, domain, names) + "\r\n"
	}
	both := field("simple/simple", "example.com", "from:subject") + field("relaxed/relaxed", "example.com", "from:subject")
	from := "From: a@example.com\r\n"
	var many strings.Builder
	for i := range 1300 {
		many.WriteString(field([]string{"simple/simple", "relaxed/relaxed"}[i%2], fmt.Sprintf("d%d.example.com", i), "from:subject"))
	}
	fold := "Subject: " + strings.Repeat("a\r\n ", 250<<10/4) + "\r\n"
	spaces := "Subject: x" + strings.Repeat("\t", 250<<10) + "\r\n"
	names := field("relaxed/relaxed", "example.com", "from"+strings.Repeat(":x", 60<<10))
	small := strings.Repeat("x:\r\n", 30<<10)
	mails := map[string]string{
		"signatures":  many.String() + from + "\r\nbody\r\n",
		"one fold":    both + from + fold + "\r\nbody\r\n",
		"white space": both + from + spaces + "\r\nbody\r\n",
		"names":       strings.Repeat(field("relaxed/relaxed", "example.com", "from"+strings.Repeat(":x", 190)), 8) + from + small[:4*1900] + "\r\nbody\r\n",
		"many names":  names + from + "\r\nbody\r\n",
		"fields":      both + from + small + small + "\r\nbody\r\n",
		"tags":        "DKIM-Signature: " + strings.Repeat("a=b;", 60<<10) + "\r\n" + from + "\r\nbody\r\n",
		"blank lines": both + from + "\r\n" + strings.Repeat("\r\n", 2*mega),
		"blank runs":  both + from + "\r\n" + strings.Repeat(strings.Repeat("\r\n", 5000)+"x", mega/2500),
		"NULs":        both + from + "\r\n" + strings.Repeat("\x00", 4*mega),
		"CRs":         both + from + "\r\n" + strings.Repeat("\r", 4*mega),
		"spaces":      both + from + "\r\n" + strings.Repeat(" ", 4*mega),
		"odd spaces":  both + from + "\r\n" + strings.Repeat("a ", 2*mega),
		"text":        both + from + "\r\n" + strings.Repeat("Some text of an ordinary mail, in lines.\r\n", mega/10),
	}
	texts := map[string][]byte{}
	for name, mail := range mails {
		texts[name] = []byte(mail)
	}
	return texts
}

// inParts verifies a mail in parts of 64 KiB.
func inParts(mail []byte, z zone) []dkim.Result {
	return verify(mail, z, dkim.Options{From: "example.com"}, func(int) int { return 64 << 10 })
}

// TestHostileMailCostsLittle compares with a hash over the same bytes. The bound is loose,
// for a machine that does other things; what it finds is work that is not linear.
func TestHostileMailCostsLittle(t *testing.T) {
	z := keys(t)
	for name, mail := range hostile() {
		best, bare := time.Hour, time.Hour
		rounds := max(1, 2<<20/len(mail))
		for range 2 {
			best = min(best, testkit.CPU(t, rounds, func() { inParts(mail, z) }))
			bare = min(bare, testkit.CPU(t, rounds, func() { sha256.Sum256(mail) }))
		}
		ratio := float64(best) / float64(bare)
		t.Logf("%-12s %8d bytes %10v, sha256 %10v: %.1f times", name, len(mail), best, bare, ratio)
		if ratio > bound && best > 2*time.Millisecond {
			t.Errorf("%s costs %.1f times a hash", name, ratio)
		}
	}
}

// TestOrdinaryMailCostsLittle compares a mail of 10 KiB, whose key is known, with what it
// costs at least.
func TestOrdinaryMailCostsLittle(t *testing.T) {
	mail, z := benchMail(t)
	bare := bareCost(t, mail)
	best, least := time.Hour, time.Hour
	for range 3 {
		best = min(best, testkit.CPU(t, 50, func() { inParts(mail, z) }))
		least = min(least, testkit.CPU(t, 50, bare))
	}
	t.Logf("%v, at least %v: %.2f times", best, least, float64(best)/float64(least))
	if best > bound*least {
		t.Errorf("a mail costs %v, one RSA verification and one hash %v", best, least)
	}
}

// BenchmarkMail is a mail of 10 KiB with one signature by RSA-2048, whose key is known.
func BenchmarkMail(b *testing.B) {
	mail, z := benchMail(b)
	b.ReportAllocs()
	for b.Loop() {
		if inParts(mail, z)[0].Verdict != dkim.Pass {
			b.Fatal("not valid")
		}
	}
}

// BenchmarkBody is a body of 1 MiB in both canonical forms.
func BenchmarkBody(b *testing.B) {
	for _, canon := range []string{"simple", "relaxed"} {
		b.Run(canon, func(b *testing.B) {
			mail := fmt.Sprintf("DKIM-Signature: "+validLooking+"\r\nFrom: a@example.com\r\n\r\n", "simple/"+canon, "example.com", "from")
			body := bytes.Repeat([]byte("Some text of an ordinary mail, in lines.\r\n"), 25<<10)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				list, _ := fields.Split([]byte(mail))
				v := dkim.New(list, dkim.Options{})
				v.Write(body)
				v.Results(context.Background(), zone{})
			}
		})
	}
}

package dkim_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/fields"
)

// TestSignaturesOfTheAuthorComeFirst shows which of many signatures count.
func TestSignaturesOfTheAuthorComeFirst(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "DKIM-Signature: "+validLooking+"\r\n", "simple", fmt.Sprintf("d%d.example.net", i), "from")
	}
	for _, domain := range []string{"mail.example.com", "Example.COM"} {
		fmt.Fprintf(&text, "DKIM-Signature: "+validLooking+"\r\n", "simple", domain, "from")
	}
	text.WriteString("From: a@example.com\r\n\r\n")
	list, _ := fields.Split([]byte(text.String()))
	v := dkim.New(list, dkim.Options{From: "example.com"})
	names := v.Keys()
	if len(names) != dkim.MaxSignatures || v.Skipped() != 14 || names[0] != "rsa._domainkey.example.com" ||
		names[1] != "rsa._domainkey.mail.example.com" || names[2] != "rsa._domainkey.d0.example.net" {
		t.Errorf("%q, %d skipped", names, v.Skipped())
	}
}

var (
	testKey  = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	testZone = zone{"k._domainkey.example.com": {"v=DKIM1; k=ed25519; p=" +
		base64.StdEncoding.EncodeToString(testKey.Public().(ed25519.PublicKey))}}
)

// sign returns a mail with a signature of From alone, in simple form, by the test key. The
// tags are those before h=, each with its semicolon.
func sign(tags string, hash []byte, from string) string {
	field := "DKIM-Signature: v=1; a=ed25519-sha256; " + tags + "h=from; bh=" +
		base64.StdEncoding.EncodeToString(hash) + "; b="
	digest := sha256.Sum256([]byte(from + "\r\n" + field))
	return field + base64.StdEncoding.EncodeToString(ed25519.Sign(testKey, digest[:])) + "\r\n" + from + "\r\n\r\n"
}

const testTags = "d=example.com; s=k; "

// TestVerdicts has a mail for each reason.
func TestVerdicts(t *testing.T) {
	record := testZone["k._domainkey.example.com"][0]
	with := func(change ...string) zone {
		return zone{"k._domainkey.example.com": {strings.NewReplacer(change...).Replace(record)}}
	}
	at := func(records ...string) zone {
		return zone{"k._domainkey.example.com": append([]string{}, records...)}
	}
	const from = "From: a@example.com"
	for _, c := range []struct {
		name, tags, from string
		zone             zone
		verdict          dkim.Verdict
		reason           dkim.Reason
	}{
		{"valid", testTags, from, testZone, dkim.Pass, ""},
		{"old form", testTags, "From : a@example.com", testZone, dkim.Pass, ""},
		{"valid until then", testTags + "t=900; x=1000; ", from, testZone, dkim.Pass, ""},
		{"expired", testTags + "x=999; ", from, testZone, dkim.Fail, dkim.ReasonExpired},
		{"for ever", testTags + "x=99999999999999999999; ", from, testZone, dkim.Pass, ""},
		{"expired before it began", testTags + "t=2000; x=1500; ", from, testZone, dkim.Neutral, dkim.ReasonSyntax},
		{"the whole length", testTags + "l=2; ", from, testZone, dkim.Pass, ""},
		{"less than the length", testTags + "l=0; ", from, testZone, dkim.Fail, dkim.ReasonBody},
		{"more than the length", testTags + "l=3; ", from, testZone, dkim.PermError, dkim.ReasonShort},
		{"no length", testTags + "l=-1; ", from, testZone, dkim.Neutral, dkim.ReasonSyntax},
		{"identity below", testTags + "i=x@a.example.com; ", from, testZone, dkim.Pass, ""},
		{"identity outside", testTags + "i=@aexample.com; ", from, testZone, dkim.PermError, dkim.ReasonIdentity},
		{"t=s, below", testTags + "i=x@a.example.com; ", from, with("k=ed25519", "t=y:s; k=ed25519"), dkim.PermError, dkim.ReasonKeyUse},
		{"t=s, same", testTags + "i=x@EXAMPLE.com; ", from, with("k=ed25519", "t=s; k=ed25519"), dkim.Pass, ""},
		{"query", testTags + "q=http; ", from, testZone, dkim.Neutral, dkim.ReasonQuery},
		{"canon", testTags + "c=nofws; ", from, testZone, dkim.Neutral, dkim.ReasonCanon},
		{"tag twice", testTags + "s=k; ", from, testZone, dkim.Neutral, dkim.ReasonSyntax},
		{"no domain", "s=k; ", from, testZone, dkim.Neutral, dkim.ReasonSyntax},
		{"broken domain", "s=k; d=a..b; ", from, testZone, dkim.Neutral, dkim.ReasonSyntax},
		{"unknown tag", testTags + "zz=1; ", from, testZone, dkim.Pass, ""},
		{"two From", testTags, "From: b@example.com\r\n" + from, testZone, dkim.PermError, dkim.ReasonTwoFrom},
		{"no From", testTags, "X: y", testZone, dkim.PermError, dkim.ReasonNoFrom},
		{"silent", testTags, from, at(), dkim.PermError, dkim.ReasonNoKey},
		{"no name", testTags, from, zone{}, dkim.PermError, dkim.ReasonNoKey},
		{"no answer", testTags, from, zone{"k._domainkey.example.com": nil}, dkim.TempError, dkim.ReasonDNS},
		{"other text", testTags, from, at("v=spf1 -all"), dkim.PermError, dkim.ReasonNoKey},
		{"revoked", testTags, from, at("v=DKIM1; k=ed25519; p="), dkim.PermError, dkim.ReasonRevoked},
		{"broken key", testTags, from, at("v=DKIM1; k=ed25519; p=AAAA"), dkim.PermError, dkim.ReasonBadKey},
		{"version not first", testTags, from, with("v=DKIM1; ", "", "p=", "v=DKIM1; p="), dkim.PermError, dkim.ReasonNoKey},
		{"no version", testTags, from, with("v=DKIM1; ", ""), dkim.Pass, ""},
		{"sha1 alone", testTags, from, with("k=ed25519", "h=sha1; k=ed25519"), dkim.PermError, dkim.ReasonKeyUse},
		{"sha256 too", testTags, from, with("k=ed25519", "h=sha1:sha256; k=ed25519"), dkim.Pass, ""},
		{"not for mail", testTags, from, with("k=ed25519", "s=tlsrpt; k=ed25519"), dkim.PermError, dkim.ReasonKeyUse},
		{"for mail", testTags, from, with("k=ed25519", "s=a : email; k=ed25519"), dkim.Pass, ""},
		{"several keys", testTags, from, at("v=DKIM1; p=", "junk", with("A", "B")["k._domainkey.example.com"][0], record), dkim.Pass, ""},
		{"tag of the key twice", testTags, from, with("k=ed25519", "k=ed25519; k=ed25519"), dkim.PermError, dkim.ReasonBadKey},
	} {
		hash := sha256.Sum256([]byte("\r\n"))
		got := verify([]byte(sign(c.tags, hash[:], c.from)), c.zone, dkim.Options{Now: 1000}, whole)
		if len(got) != 1 || got[0].Verdict != c.verdict || got[0].Reason != c.reason {
			t.Errorf("%s: %+v, want %s, %q", c.name, got, c.verdict, c.reason)
		}
	}
}

func FuzzVerify(f *testing.F) {
	for _, mail := range []string{sign(testTags, make([]byte, 32), "From: a@b"), "From: x\r\nDKIM-Signature: ;=;\r\n\r\n"} {
		f.Add([]byte(mail), "v=DKIM1; p=AAAA; t=s", uint8(3))
	}
	f.Fuzz(func(t *testing.T, mail []byte, record string, size uint8) {
		if len(mail) == 0 {
			return
		}
		z := zone{"k._domainkey.example.com": {record}}
		got := verify(mail, z, dkim.Options{From: "example.com"}, func(int) int { return int(size) + 1 })
		all := verify(mail, z, dkim.Options{From: "example.com"}, whole)
		if fmt.Sprint(got) != fmt.Sprint(all) {
			t.Errorf("in parts %+v, at once %+v", got, all)
		}
	})
}

// published is the example of RFC 8463, appendix A.3.
const published = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`

// TestPublishedExamplePasses verifies both signatures of RFC 8463, and neither of a mail
// with one field or line more.
func TestPublishedExamplePasses(t *testing.T) {
	z := zone{
		"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"test._domainkey.football.example.com": {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" +
			"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" +
			"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" +
			"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
	}
	mail := strings.ReplaceAll(published, "\n", "\r\n")
	for _, c := range []struct {
		mail   string
		reason dkim.Reason
	}{
		{mail, dkim.ReasonNone}, {mail + "P.S.\r\n", dkim.ReasonBody}, {mail + "\r\n \r\n", dkim.ReasonNone},
		{"Subject: another\r\n" + mail, dkim.ReasonSignature}, // h= names Subject twice
		{"Sender: another\r\n" + mail, dkim.ReasonNone},
	} {
		got := verify([]byte(c.mail), z, dkim.Options{From: "football.example.com", Now: 1795780000}, whole)
		if len(got) != 2 || got[0].Reason != c.reason || got[1].Reason != c.reason || got[1].KeyBits != 1024 && c.reason == "" {
			t.Errorf("%+v, want %q", got, c.reason)
		}
	}
}

package authres

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestFieldIsWritten(t *testing.T) {
	got := string(Append(nil, "mx.example.com", []Result{
		SPF("pass", "", "alice@example.org", "mail.example.org"),
		DKIM("fail", "body hash mismatch", Signature{"example.org", "s1", "rsa-sha256", "abcd+/=="}),
		DMARC("fail", "", "example.org", "reject"),
		IPRev("pass", netip.MustParseAddr("2001:db8::1")),
	}))
	want := "Authentication-Results: mx.example.com;\r\n" +
		"\tspf=pass smtp.mailfrom=alice@example.org smtp.helo=mail.example.org;\r\n" +
		"\tdkim=fail reason=\"body hash mismatch\" header.d=example.org header.s=s1\r\n" +
		"\t header.a=rsa-sha256 header.b=\"abcd+/==\";\r\n" +
		"\tdmarc=fail header.from=example.org polrec.p=reject;\r\n" +
		"\tiprev=pass policy.iprev=\"2001:db8::1\"\r\n"
	if got != strings.ReplaceAll(want, "\t header", "\theader") {
		t.Errorf("%s", got)
	}
	if got := string(Append(nil, "mx", nil)); got != "Authentication-Results: mx; none\r\n" {
		t.Errorf("%q", got)
	}
}

// TestValuesAreHarmless shows that no value ends a line or a quotation.
func TestValuesAreHarmless(t *testing.T) {
	for value, want := range map[string]string{
		"a\r\nX: y@b":     `"a??X: y@b"`,
		`a"b\c@d`:         `"a\"b\\c@d"`,
		"\x00\x7fé\xff":   `"????"`,
		`"a b"@d`:         `"\"a b\"@d"`,
		"a@b; dmarc=pass": `"a@b; dmarc=pass"`,
		"a (c)":           `"a (c)"`,
		"":                `""`,
		"a..b@c":          `"a..b@c"`,
		"a@b":             "a@b",
		"@b":              "@b",
		"a=b+c@d-e.f":     "a=b+c@d-e.f",
	} {
		if got := string(Append(nil, "mx", []Result{{"spf", "pass", "", []Property{{"smtp.mailfrom", value}}}})); !strings.HasSuffix(got, "="+want+"\r\n") {
			t.Errorf("%q is written %q, want %s", value, got, want)
		}
	}
}

func TestForgedFieldsAreFound(t *testing.T) {
	const host = "mx.example.com"
	for value, forged := range map[string]bool{
		"mx.example.com; spf=pass":                                  true,
		" MX.Example.COM;":                                          true,
		" mx.example.com.":                                          true,
		" mx.example.com 1; none":                                   true,
		" (a (b) \\) c) mx.example.com ; none":                      true,
		" (" + strings.Repeat("x", 5000) + ") mx.example.com; none": true,
		"\r\n\t mx.example.com\r\n ; none":                          true,
		" \"mx.example.com\"; none":                                 true,
		" \"m\\x\".example.com; none":                               true,
		" mx. example\r\n .com; none":                               true,
		" mx . example . com 1; none":                               true,
		" mx(c).example.com; none":                                  true,
		" mx.example.com":                                           true,
		" mx.example.com spf=pass":                                  true,
		" mx.example.com\x01; none":                                 true,
		" \x7fmx.example.com\x1f1; none":                            true,
		" mx.example.com\u00a0; none":                               true,
		" \ufeffmx.example.com\u20031; none":                        true,
		" mx.exam\u00adple.com; none":                               true,
		" mx.example.com\xa0; none":                                 true,
		" =?utf-8?q?mx.example.com?=; none":                         true,
		" \"=?us-ascii?b?bXguZXhhbXBsZS5jb20=?=\"; none":            true,
		" (=?utf-8?q?a)_mx.example.com;_spf=3Dpass;?=":              true,
		" other; x=\"=?utf-8?q?mx.example.com?=\"":                  false,
		" other.example.com; x=mx.example.com":                      false,
		" amx.example.com; none":                                    false,
		" other; (mx.example.com)":                                  false,
		"":                                                          false,
		" (mx.example.com":                                          false,
	} {
		for _, before := range []string{"", "From: a@b\r\n", "X: y\n", "X: y\r"} {
			for _, label := range []string{
				"Authentication-Results:", "AUTHENTICATION-results \t:", "Authentication-Results\r\n\t:", "\x01\x7fAuthentication-Results\x02:",
			} {
				text := before + label + value + "\r\nTo: x\r\n\r\n"
				var want []int
				if forged {
					want = []int{len(before) + strings.IndexAny(label, "aA")}
				}
				if got := Forged([]byte(text), host); !slices.Equal(got, want) {
					t.Fatalf("%q: %v, want %v", text, got, want)
				}
				for _, at := range want {
					if renamed := rename([]byte(text), at); Forged(renamed, host) != nil {
						t.Fatalf("renamed to %q", renamed)
					}
				}
			}
		}
	}
	for _, text := range []string{"X-Authentication-Results: mx.example.com\r\n", " Authentication-Results: mx.example.com\r\n", "Authentication-Result: mx.example.com\r\n",
		"Authentication-Results\r\n: mx.example.com\r\n", " \x01Authentication-Results: mx.example.com\r\n"} {
		if got := Forged([]byte(text), host); got != nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := Forged([]byte("Authentication-Results: b\xc3\xbccher.example\r\n"), "xn--bcher-kva.example"); len(got) != 1 {
		t.Errorf("U-label: %v", got)
	}
}

// rename returns a text in which the field at a place has the name of forged ones.
func rename(text []byte, at int) []byte {
	copy(text[at:], "X-Spoofed-Auth-Results")
	return text
}

// TestManyStrangeNamesAreForged shows that names in other letters are converted for a few
// fields only, and that further ones count as forged.
func TestManyStrangeNamesAreForged(t *testing.T) {
	const field = "Authentication-Results: \xc3\xbc.example; none\r\n"
	if got := Forged([]byte(strings.Repeat(field, maxStrange)), "mx.example.com"); got != nil {
		t.Errorf("%v", got)
	}
	got := Forged([]byte(strings.Repeat(field, maxStrange+2)), "mx.example.com")
	if !slices.Equal(got, []int{maxStrange * len(field), (maxStrange + 1) * len(field)}) {
		t.Errorf("%v", got)
	}
}

func FuzzForged(f *testing.F) {
	f.Add([]byte("Authentication-Results: (x) \"mx\"; none\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, at := range Forged(text, "mx.example.com") {
			if !strings.EqualFold(string(text[at:at+len(name)]), name) {
				t.Fatalf("%d of %q", at, text)
			}
			rename(text, at)
		}
		if left := Forged(text, "mx.example.com"); left != nil {
			t.Errorf("left %v of %q", left, text)
		}
	})
}

func FuzzAppend(f *testing.F) {
	f.Add("mx", "a@b", "reason")
	f.Fuzz(func(t *testing.T, host, value, reason string) {
		text := string(Append(nil, host, []Result{SPF("pass", reason, value, value), DKIM("fail", reason, Signature{value, value, value, value})}))
		lines := strings.SplitAfter(text, "\r\n")
		for i, line := range lines[:len(lines)-1] {
			if len(line) > 1000 || strings.Trim(strings.TrimSuffix(line, "\r\n"), "\t") == "" || i > 0 && line[0] != '\t' ||
				strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n\x00") {
				t.Errorf("line %q", line)
			}
		}
		if lines[len(lines)-1] != "" {
			t.Errorf("%q does not end", text)
		}
	})
}

package codec

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func TestParseMail(t *testing.T) {
	local64 := strings.Repeat("l", 64)
	label := strings.Repeat("d", 63)
	domain := label + "." + label + "." + label // 191
	for _, tc := range []struct {
		arg     string
		address string
		kind    DomainKind
		params  string
		fault   Fault
		lenient Leniency
	}{
		{arg: "FROM:<>"},
		{arg: "from:<>  SIZE=1", params: "SIZE=1"},
		{arg: "FROM:<a@example.net>", address: "a@example.net", kind: DomainName},
		{arg: "FROM: \t<a@example.net>", address: "a@example.net", kind: DomainName},
		{arg: "FROM:<a@example.net> SIZE=10 BODY=7BIT", address: "a@example.net", kind: DomainName, params: "SIZE=10 BODY=7BIT"},
		{arg: "FROM:<a@b>", address: "a@b", kind: DomainName},
		{arg: "FROM:<a.b-c+d=e/f@x_y.example>", address: "a.b-c+d=e/f@x_y.example", kind: DomainName},
		{arg: "FROM:<!#$%&'*+-/=?^_`{|}~@example.net>", address: "!#$%&'*+-/=?^_`{|}~@example.net", kind: DomainName},
		{arg: `FROM:<"a b"@example.net>`, address: `"a b"@example.net`, kind: DomainName},
		{arg: `FROM:<"a\"b\\>@"@example.net>`, address: `"a\"b\\>@"@example.net`, kind: DomainName},
		{arg: `FROM:<""@example.net>`, address: `""@example.net`, kind: DomainName},
		{arg: "FROM:<@a.example,@b.example:c@example.net>", address: "c@example.net", kind: DomainName},
		{arg: "FROM:<a@[192.0.2.1]>", address: "a@[192.0.2.1]", kind: DomainIPv4},
		{arg: "FROM:<a@[IPv6:2001:db8::1]>", address: "a@[IPv6:2001:db8::1]", kind: DomainIPv6},
		{arg: "FROM:<a@[ipv6:::]>", address: "a@[ipv6:::]", kind: DomainIPv6},
		{arg: "FROM:<a@[192.000.002.001]>", address: "a@[192.000.002.001]", kind: DomainIPv4},
		{arg: "FROM:<postmaster@example.net>", address: "postmaster@example.net", kind: DomainName},
		{arg: "FROM:<" + local64 + "@" + domain[:189] + ">", address: local64 + "@" + domain[:189], kind: DomainName},

		{arg: "", fault: FaultSyntax},
		{arg: "FROM", fault: FaultSyntax},
		{arg: "FROM:", fault: FaultSyntax},
		{arg: "FROM:<", fault: FaultSyntax},
		{arg: "FROM:a@example.net", address: "a@example.net", kind: DomainName, lenient: LenientBrackets},
		{arg: "FROM: a@[192.0.2.1] \tSIZE=1", address: "a@[192.0.2.1]", kind: DomainIPv4, params: "SIZE=1", lenient: LenientBrackets},
		{arg: "FROM:a.@example.net", address: "a.@example.net", kind: DomainName, lenient: LenientBoth},
		{arg: "FROM:a@example.net>", fault: FaultSyntax},
		{arg: "FROM:a@example.net<b@example.net>", fault: FaultSyntax},
		{arg: "FROM:a<b@example.net>", fault: FaultSyntax},
		{arg: "FROM:a@example.net,b@example.net", fault: FaultSyntax},
		{arg: "FROM:a@example.net\x01", fault: FaultSyntax},
		{arg: "FROM:@a.example:b@example.net", fault: FaultSyntax},
		{arg: `FROM:"a b"@example.net`, fault: FaultSyntax},
		{arg: "FROM:postmaster", fault: FaultSyntax},
		{arg: "FROM:SIZE=1", fault: FaultSyntax},
		{arg: "FROM:a@example.netSIZE=1", fault: FaultSyntax},
		{arg: "FROM:<..@example.net>", fault: FaultSyntax},
		{arg: "FROM:<l" + local64 + ".@example.net>", fault: FaultLocalPartTooLong},
		{arg: "FROM:" + local64 + "@" + domain, fault: FaultPathTooLong},
		{arg: "FROM :<a@example.net>", fault: FaultSyntax},
		{arg: "TO:<a@example.net>", fault: FaultSyntax},
		{arg: "FROM:<a@example.net", fault: FaultSyntax},
		{arg: "FROM:<a@example.net>SIZE=1", fault: FaultSyntax},
		{arg: "FROM:<a@example.net>>", fault: FaultSyntax},
		{arg: "FROM:<postmaster>", fault: FaultSyntax},
		{arg: "FROM:<a>", fault: FaultSyntax},
		{arg: "FROM:<a@>", fault: FaultSyntax},
		{arg: "FROM:<@example.net>", fault: FaultSyntax},
		{arg: "FROM:< >", fault: FaultSyntax},
		{arg: "FROM:<.a@example.net>", address: ".a@example.net", kind: DomainName, lenient: LenientDots},
		{arg: "FROM:<a.@example.net>", address: "a.@example.net", kind: DomainName, lenient: LenientDots},
		{arg: "FROM:<a..b@example.net>", address: "a..b@example.net", kind: DomainName, lenient: LenientDots},
		{arg: "FROM:<a b@example.net>", fault: FaultSyntax},
		{arg: `FROM:<"a@example.net>`, fault: FaultSyntax},
		{arg: `FROM:<"a\`, fault: FaultSyntax},
		{arg: `FROM:<"a"b@example.net>`, fault: FaultSyntax},
		{arg: "FROM:<\"a\tb\"@example.net>", fault: FaultSyntax},
		{arg: "FROM:<a@-example.net>", fault: FaultSyntax},
		{arg: "FROM:<a@example-.net>", fault: FaultSyntax},
		{arg: "FROM:<a@example.net.>", fault: FaultSyntax},
		{arg: "FROM:<a@example..net>", fault: FaultSyntax},
		{arg: "FROM:<a@b@example.net>", fault: FaultSyntax},
		{arg: "FROM:<a@[192.0.2.256]>", fault: FaultSyntax},
		{arg: "FROM:<a@[x-y:anything/at.all]>", fault: FaultSyntax},
		{arg: "FROM:<a@[192.0.2.0001]>", fault: FaultSyntax},
		{arg: "FROM:<a@[192.0.2]>", fault: FaultSyntax},
		{arg: "FROM:<a@[192.0.2.1>", fault: FaultSyntax},
		{arg: "FROM:<a@[]>", fault: FaultSyntax},
		{arg: "FROM:<a@[IPv6:]>", fault: FaultSyntax},
		{arg: "FROM:<a@[IPv6:192.0.2.1]>", fault: FaultSyntax},
		{arg: "FROM:<a@[IPv6:fe80::1%eth0]>", fault: FaultSyntax},
		{arg: "FROM:<a@[x-:y]>", fault: FaultSyntax},
		{arg: "FROM:<a@[x:]>", fault: FaultSyntax},
		{arg: "FROM:<@a.example:>", fault: FaultSyntax},
		{arg: "FROM:<@a.example,b.example:c@example.net>", fault: FaultSyntax},
		{arg: "FROM:<@a.example c@example.net>", fault: FaultSyntax},
		{arg: "FROM:<@a.example", fault: FaultSyntax},
		{arg: "FROM:<l" + local64 + "@example.net>", fault: FaultLocalPartTooLong},
		{arg: "FROM:<a@d" + label + ".example>", fault: FaultDomainTooLong},
		{arg: "FROM:<a@" + domain + "." + label + ".example>", fault: FaultDomainTooLong},
		{arg: "FROM:<" + local64 + "@" + domain + ">", fault: FaultPathTooLong},
		{arg: "FROM:<@" + domain + ":" + local64 + "@example.net>", fault: FaultPathTooLong},
	} {
		path, params, fault := ParseMail([]byte(tc.arg))
		if string(path.Address) != tc.address || path.DomainKind != tc.kind ||
			string(params) != tc.params || fault != tc.fault || path.Leniency != tc.lenient {
			t.Errorf("%s: address %q, domain kind %d, params %q, %v; want %q, %d, %q, %v", tc.arg,
				path.Address, path.DomainKind, params, fault, tc.address, tc.kind, tc.params, tc.fault)
		}
		if want := string(path.Local) + "@" + string(path.Domain); path.Kind == PathMailbox && want != tc.address {
			t.Errorf("%s: local part %q and domain %q are not the address", tc.arg, path.Local, path.Domain)
		}
		if wantNull := tc.address == ""; wantNull != (path.Kind == PathNull) {
			t.Errorf("%s: path kind %d", tc.arg, path.Kind)
		}
	}
}

func TestParseVrfy(t *testing.T) {
	for arg, want := range map[string]string{
		"anna": "", "Anna <anna>": "", "a@example.net": "example.net", "<a@example.net>": "example.net",
		"Anna B <a@example.net>": "example.net", "a@": "bad", "a@example.net b": "bad", "<a@example.net": "bad",
		"a@example.net>": "bad", "@": "bad",
	} {
		path, fault := ParseVrfy([]byte(arg))
		got := string(path.Domain)
		if fault != FaultNone {
			got = "bad"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", arg, got, want)
		}
	}
}

func TestParseRcpt(t *testing.T) {
	for _, tc := range []struct {
		arg     string
		kind    PathKind
		address string
		params  string
		fault   Fault
	}{
		{arg: "TO:<a@example.net>", kind: PathMailbox, address: "a@example.net"},
		{arg: "to: <a@example.net> X", kind: PathMailbox, address: "a@example.net", params: "X"},
		{arg: "TO:<postmaster>", kind: PathPostmaster, address: "postmaster"},
		{arg: "TO:<PostMaster>", kind: PathPostmaster, address: "PostMaster"},
		{arg: "TO:<postmaster@example.net>", kind: PathMailbox, address: "postmaster@example.net"},
		{arg: "TO:a@example.net", kind: PathMailbox, address: "a@example.net"},
		{arg: "TO:a@example.net X", kind: PathMailbox, address: "a@example.net", params: "X"},
		{arg: "TO:<a.@example.net>", fault: FaultSyntax},
		{arg: "TO:a..b@example.net", fault: FaultSyntax},
		{arg: "TO:<>", fault: FaultSyntax},
		{arg: "TO:<postmaste>", fault: FaultSyntax},
		{arg: `TO:<"postmaster">`, fault: FaultSyntax},
		{arg: "TO:<@a.example:postmaster>", fault: FaultSyntax},
		{arg: "FROM:<a@example.net>", fault: FaultSyntax},
	} {
		path, params, fault := ParseRcpt([]byte(tc.arg))
		if path.Kind != tc.kind || string(path.Address) != tc.address || string(params) != tc.params || fault != tc.fault {
			t.Errorf("%s: kind %d, address %q, params %q, %v; want %d, %q, %q, %v", tc.arg,
				path.Kind, path.Address, params, fault, tc.kind, tc.address, tc.params, tc.fault)
		}
	}
}

// TestIPv6AgreesWithNetip compares isIPv6 with net/netip on strings that resemble
// addresses.
func TestIPv6AgreesWithNetip(t *testing.T) {
	parts := []string{":", ":", "::", "0", "1", "f", "abcd", "12345", "1.2.3.4", "g", ":1", ":2", ":ffff", "1:2:3:4:5:6:7"}
	rng := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 300_000 {
		var s strings.Builder
		for range 1 + rng.IntN(10) {
			s.WriteString(parts[rng.IntN(len(parts))])
		}
		addr, err := netip.ParseAddr(s.String())
		if err != nil && strings.Contains(err.Error(), "leading zero") {
			continue // allowed by Snum = 1*3DIGIT, refused by netip
		}
		want := err == nil && addr.Is6()
		if want {
			valid++
		}
		if got := isIPv6([]byte(s.String())); got != want {
			t.Fatalf("isIPv6(%q) = %t, netip says %t (%v)", s.String(), got, want, err)
		}
	}
	if valid < 1000 {
		t.Errorf("only %d of the strings were addresses", valid)
	}
}

func TestValidHelo(t *testing.T) {
	for _, arg := range []string{"mx.example.net", "[192.0.2.1]", "my_host", "localhost.", "192.0.2.1", "anna's-pc", strings.Repeat("a", 255)} {
		if got, ok := ValidHelo([]byte(arg)); !ok || string(got) != arg {
			t.Errorf("ValidHelo(%q) = %q, %t", arg, got, ok)
		}
	}
	for _, arg := range []string{"", "a b", "a\tb", "a\x7f", "a\x01", "é", strings.Repeat("a", 256)} {
		if _, ok := ValidHelo([]byte(arg)); ok {
			t.Errorf("ValidHelo(%q) accepted it", arg)
		}
	}
}

package codec

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

func TestDecoderSize(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size > 8 {
		t.Errorf("Decoder takes %d octets; it stands in every idle session", size)
	}
}

// events decodes src, of which chunk() more octets become known at a time, and returns
// the events as text.
func events(t testing.TB, src string, chunk func() int) []string {
	t.Helper()
	var d Decoder
	var list []string
	in := []byte(src)
	discarded, known := 0, 0
	for {
		cmd, n, ok := d.Next(in[discarded:known])
		if n < 0 || n > known-discarded {
			t.Fatalf("%q: %d octets to discard of %d", src, n, known-discarded)
		}
		if ok && n == 0 {
			t.Fatalf("%q: an event without input", src)
		}
		if ok {
			list = append(list, fmt.Sprintf("%s|%s|%s@%d", cmd.Verb, cmd.Arg, cmd.Fault, discarded+n))
		}
		discarded += n
		if ok || n > 0 {
			continue
		}
		if held := known - discarded; held > MaxLine {
			t.Fatalf("%q: %d octets are held back", src, held)
		}
		if known == len(in) {
			return list
		}
		known += min(chunk(), len(in)-known)
	}
}

func TestDecoder(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	mail, rcpt := LineLimit(VerbMAIL), LineLimit(VerbRCPT)
	rng := rand.New(rand.NewPCG(15, 16))
	for _, tc := range []struct {
		name, src string
		want      string
	}{
		{"nothing", "", ""},
		{"incomplete", "NOOP", ""},
		{"incomplete at CR", "NOOP\r", ""},
		{"one", "NOOP\r\n", "NOOP||none@6"},
		{"any case", "eHlO a\r\nStartTLS\r\n", "EHLO|a|none@8 STARTTLS||none@18"},
		{"arguments", "MAIL  FROM:<a b> \t \r\n", "MAIL|FROM:<a b>|none@21"},
		{"tab", "VRFY\tx\r\n", "VRFY|x|none@8"},
		{"pipelined", "RSET\r\nDATA\r\nx", "RSET||none@6 DATA||none@12"},
		{"unknown", "XYZZY foo\r\n", "unknown|foo|none@11"},
		{"no word of its own", "NOOPX\r\nNOO\r\nQUIT!\r\n", "unknown||none@7 unknown||none@12 unknown||none@19"},
		{"methods of HTTP", "get /\r\nFOO / HTTP/1.1\r\nPRI * http/2.0\nHTTP/1.1\r\nNOOP / HTTP/1.1\r\nFOO /HTTP/1.1\r\n",
			"HTTP|/|none@7 HTTP|/ HTTP/1.1|none@23 HTTP|* http/2.0|bare_lf@38 unknown||bare_lf@48 NOOP|/ HTTP/1.1|none@65 unknown|/HTTP/1.1|none@80"},
		{"case bit only", "\x0eOOP\r\n", "unknown||none@6"},
		{"white space first", " NOOP\r\n", "unknown|NOOP|none@7"},
		{"empty", "\r\n \t\r\n", "unknown||empty@2 unknown||empty@6"},
		{"bare LF", "NOOP\nNOOP\r\nNOOP\r\n", "NOOP||bare_lf@5 NOOP||bare_lf@11 NOOP||none@17"},
		{"bare LF twice", "NOOP\nNOOP\nNOOP\r\nNOOP\r\n", "NOOP||bare_lf@5 NOOP||bare_lf@10 NOOP||bare_lf@16 NOOP||none@22"},
		{"bare LF alone", "\n\n\r\nNOOP\r\n", "unknown||bare_lf@1 unknown||bare_lf@2 unknown||bare_lf@4 NOOP||none@10"},
		{"bare CR", "NO\rOP\r\nNOOP\r\r\nNOOP\r\n", "unknown||bare_cr@7 unknown||bare_cr@14 NOOP||none@20"},
		{"bare CR in argument", "NOOP a\rb\r\n", "NOOP|a\rb|bare_cr@10"},
		{"LF CR", "NOOP\n\rNOOP\r\nNOOP\r\n", "NOOP||bare_lf@5 unknown||bare_lf@12 NOOP||none@18"},
		{"NUL", "NOOP \x00\r\n\x00\r\nNOOP\r\n", "NOOP|\x00|nul@8 unknown||nul@11 NOOP||none@17"},
		{"eight bit", "MAIL FROM:<\xc3\xa9@b>\r\nNOOP\r\n", "MAIL|FROM:<\xc3\xa9@b>|eight_bit@18 NOOP||none@24"},
		{"longest", "NOOP " + x(505) + "\r\nNOOP\r\n", "NOOP|" + x(505) + "|none@512 NOOP||none@518"},
		{"too long by one", "NOOP " + x(506) + "\r\nNOOP\r\n", "NOOP||line_too_long@513 NOOP||none@519"},
		{"unknown too long", x(511) + "\r\nNOOP\r\n", "unknown||line_too_long@513 NOOP||none@519"},
		{"too long in spaces", x(4) + strings.Repeat(" ", 507) + "\r\n", "unknown||line_too_long@513"},
		{"very long", "NOOP " + x(100_000) + "\r\nNOOP\r\n", "NOOP||line_too_long@100007 NOOP||none@100013"},
		{"too long and bare LF", "NOOP " + x(600) + "\nNOOP\r\nNOOP\r\n", "NOOP||line_too_long@606 NOOP||bare_lf@612 NOOP||none@618"},
		{"too long and bare CR", "NOOP " + x(600) + "\rNOOP\r\nNOOP\r\n", "NOOP||line_too_long@612 NOOP||none@618"},
		{"too long and bad", "NOOP \x00\xff" + x(600) + "\r\n", "NOOP||line_too_long@609"},
		{"too long behind bare LF", "\nNOOP " + x(600) + "\r\nNOOP\r\n", "unknown||bare_lf@1 NOOP||line_too_long@608 NOOP||none@614"},
		{"longest MAIL", "MAIL " + x(mail-7) + "\r\n", fmt.Sprintf("MAIL|%s|none@%d", x(mail-7), mail)},
		{"MAIL too long", "MAIL " + x(mail-6) + "\r\n", fmt.Sprintf("MAIL||line_too_long@%d", mail+1)},
		{"longest RCPT", "rcpt " + x(rcpt-7) + "\r\n", fmt.Sprintf("RCPT|%s|none@%d", x(rcpt-7), rcpt)},
		{"RCPT too long", "rcpt " + x(rcpt-6) + "\r\n", fmt.Sprintf("RCPT||line_too_long@%d", rcpt+1)},
		{"AUTH too long", "AUTH " + x(12_281) + "\r\n", "AUTH||line_too_long@12288"},
	} {
		for name, chunk := range map[string]func() int{
			"whole": whole, "octet by octet": single, "at random": randomly(rng, 20), "at random, long": randomly(rng, 700),
		} {
			if got := strings.Join(events(t, tc.src, chunk), " "); got != tc.want {
				t.Errorf("%s, %s:\n got %q\nwant %q", tc.name, name, got, tc.want)
			}
		}
	}
}

// TestLineLimits pins the table. limits.go names the RFC of each allowance.
func TestLineLimits(t *testing.T) {
	for v := range verbCount {
		want := 512
		switch v {
		case VerbMAIL:
			want = 512 + 26 + 17 + 10 + 500 + 116
		case VerbRCPT:
			want = 512 + 536
		case VerbVRFY, VerbEXPN:
			want = 522
		}
		if got := LineLimit(v); got != want {
			t.Errorf("%s: %d, want %d", v, got, want)
		}
	}
	if LineLimit(verbCount) != 512 {
		t.Error("a verb that does not exist has no default limit")
	}
}

// TestDecoderScansOnce feeds a long line octet by octet and checks that the decoder
// remembers how far it has searched. Otherwise each octet would cost a scan of the line.
func TestDecoderScansOnce(t *testing.T) {
	line := []byte("MAIL FROM:<" + strings.Repeat("x", 400))
	var d Decoder
	for n := 1; n <= len(line); n++ {
		if _, _, ok := d.Next(line[:n]); ok {
			t.Fatal("an event without an end of line")
		}
		if int(d.scanned) != n {
			t.Fatalf("%d octets passed, %d remembered as scanned", n, d.scanned)
		}
	}
}

// TestNames checks that every value has a distinct name that is a valid label.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for f := range faultCount {
		name := f.String()
		if name == "" || seen[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("fault %d is called %q", f, name)
		}
		seen[name] = true
	}
	for v := range verbCount {
		name := v.String()
		if name == "" || seen[name] {
			t.Errorf("verb %d is called %q", v, name)
		}
		seen[name] = true
		word := name
		switch v {
		case VerbUnknown, VerbTLS: // no word yields these
			continue
		case VerbHTTP:
			word = "GET"
		}
		if lookupVerb([]byte(word)) != v || lookupVerb([]byte(strings.ToLower(word))) != v {
			t.Errorf("%s is not recognized", name)
		}
	}
	if faultCount.String() != "invalid" || verbCount.String() != "unknown" {
		t.Error("values out of range have no name")
	}
}

func TestCommandAllocs(t *testing.T) {
	lines := []byte("EHLO client.example.com\r\nMAIL FROM:<anna@example.com> SIZE=12345 BODY=8BITMIME\r\n" +
		"RCPT TO:<\"b b\"@[IPv6:2001:db8::1]>\r\nXYZZY\r\nNOOP \xff\r\n")
	if n := testing.AllocsPerRun(100, func() {
		var d Decoder
		rest, count := lines, 0
		for {
			cmd, n, ok := d.Next(rest)
			if !ok {
				break
			}
			count++
			rest = rest[n:]
			switch cmd.Verb {
			case VerbEHLO:
				if _, ok := ValidHelo(cmd.Arg); !ok {
					t.Fatal("EHLO")
				}
			case VerbMAIL:
				_, params, fault := ParseMail(cmd.Arg)
				if m, f := ParseMailParams(params); fault != FaultNone || f != FaultNone || m.Size != 12345 {
					t.Fatal("MAIL")
				}
			case VerbRCPT:
				if p, _, fault := ParseRcpt(cmd.Arg); fault != FaultNone || p.DomainKind != DomainIPv6 {
					t.Fatal("RCPT")
				}
			}
		}
		if count != 5 {
			t.Fatalf("%d commands", count)
		}
	}); n != 0 {
		t.Errorf("%v allocations for five commands", n)
	}
}

func BenchmarkCommand(b *testing.B) {
	line := []byte("MAIL FROM:<anna@example.com> SIZE=12345 BODY=8BITMIME\r\n")
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	var d Decoder
	for b.Loop() {
		cmd, _, _ := d.Next(line)
		_, params, _ := ParseMail(cmd.Arg)
		if _, fault := ParseMailParams(params); fault != FaultNone {
			b.Fatal(fault)
		}
	}
}

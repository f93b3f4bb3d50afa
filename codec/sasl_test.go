package codec

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// TestExchange takes apart what clients send, by each mechanism.
func TestExchange(t *testing.T) {
	for _, c := range []struct {
		name      string
		mechanism Mechanism
		responses []string // "=" before the first that came with the command
		want      string   // user, secret and acts; "" for a fault
	}{
		{"PLAIN", MechanismPlain, []string{b64("\x00ann\x00secret")}, "ann|secret|"},
		{"PLAIN, acts", MechanismPlain, []string{b64("bob\x00ann\x00secret")}, "ann|secret|bob"},
		{"PLAIN, empty password", MechanismPlain, []string{b64("\x00ann\x00")}, "ann||"},
		{"PLAIN, no user", MechanismPlain, []string{b64("\x00\x00secret")}, ""},
		{"PLAIN, one NUL", MechanismPlain, []string{b64("ann\x00secret")}, ""},
		{"PLAIN, three NULs", MechanismPlain, []string{b64("\x00ann\x00sec\x00ret")}, ""},
		{"PLAIN, not UTF-8", MechanismPlain, []string{b64("\x00a\xff\x00secret")}, ""},
		{"PLAIN, control characters", MechanismPlain, []string{b64("\x00a\r\nb\x00secret")}, ""},
		{"PLAIN, any password", MechanismPlain, []string{b64("\x00ann\x00\xff\r\n ")}, "ann|\xff\r\n |"},
		{"bits behind the end", MechanismPlain, []string{"AGFubgBzZWNyZXR="}, ""},
		{"no padding", MechanismPlain, []string{strings.TrimRight(b64("\x00ann\x00secre"), "=")}, ""},
		{"white space", MechanismPlain, []string{b64("\x00ann\x00secret")[:4] + " " + b64("\x00ann\x00secret")[4:]}, ""},
		{"line end", MechanismPlain, []string{b64("\x00ann\x00secret")[:4] + "\r" + b64("\x00ann\x00secret")[4:]}, ""},
		{"URL alphabet", MechanismPlain, []string{"AGFubgD_-w=="}, ""},
		{"empty", MechanismPlain, []string{""}, ""},
		{"LOGIN", MechanismLogin, []string{b64("ann"), b64("secret")}, "ann|secret|"},
		{"LOGIN, empty password", MechanismLogin, []string{b64("ann"), ""}, "ann||"},
		{"LOGIN, no user", MechanismLogin, []string{""}, ""},
		{"LOGIN, NUL", MechanismLogin, []string{b64("ann"), b64("sec\x00ret")}, ""},
		{"OAUTHBEARER", MechanismOAuthBearer, []string{b64("n,a=ann,\x01host=mx\x01auth=Bearer t.o-k_en=\x01\x01")}, "ann|t.o-k_en=|"},
		{"OAUTHBEARER, escapes", MechanismOAuthBearer, []string{b64("y,a=a=2Cn=3dn,\x01auth=bearer x\x01\x01")}, "a,n=n|x|"},
		{"OAUTHBEARER, bad escape", MechanismOAuthBearer, []string{b64("n,a=a=2,\x01auth=Bearer x\x01\x01")}, ""},
		{"OAUTHBEARER, no user", MechanismOAuthBearer, []string{b64("n,,\x01auth=Bearer x\x01\x01")}, ""},
		{"OAUTHBEARER, channel", MechanismOAuthBearer, []string{b64("p=tls-unique,a=ann,\x01auth=Bearer x\x01\x01")}, ""},
		{"OAUTHBEARER, two tokens", MechanismOAuthBearer, []string{b64("n,a=ann,\x01auth=Bearer x\x01auth=Bearer y\x01\x01")}, ""},
		{"OAUTHBEARER, no token", MechanismOAuthBearer, []string{b64("n,a=ann,\x01host=mx\x01\x01")}, ""},
		{"XOAUTH2", MechanismXOAuth2, []string{b64("user=ann\x01auth=Bearer x\x01\x01")}, "ann|x|"},
		{"XOAUTH2, more behind", MechanismXOAuth2, []string{b64("user=ann\x01auth=Bearer x\x01\x01y")}, ""},
		{"XOAUTH2, one end", MechanismXOAuth2, []string{b64("user=ann\x01auth=Bearer x\x01")}, ""},
		{"XOAUTH2, space in it", MechanismXOAuth2, []string{b64("user=ann\x01auth=Bearer x y\x01\x01")}, ""},
		{"XOAUTH2, another scheme", MechanismXOAuth2, []string{b64("user=ann\x01auth=Basic x\x01\x01")}, ""},
	} {
		for _, kind := range []ResponseKind{InitialResponse, LaterResponse} {
			x := Exchange{Credentials: Credentials{Mechanism: c.mechanism}}
			got, first := "", kind
			for i, response := range c.responses {
				if response == "" && first == InitialResponse {
					response = "="
				}
				done, fault := x.Respond([]byte(response), first)
				if fault != FaultNone {
					if x.Secret != nil {
						t.Errorf("%s: %d octets are kept", c.name, cap(x.Secret))
					}
					break
				}
				if done != (i == len(c.responses)-1) {
					t.Errorf("%s: done %t after response %d", c.name, done, i)
				}
				if done {
					got = fmt.Sprintf("%s|%s|%s", x.User, x.Secret, x.Acts)
				}
				first = LaterResponse
			}
			if got != c.want {
				t.Errorf("%s, kind %d: %q, want %q", c.name, kind, got, c.want)
			}
			x.Wipe()
			if bytes.Trim(x.Secret, "\x00") != nil && len(bytes.Trim(x.Secret, "\x00")) > 0 {
				t.Errorf("%s: the secret is left", c.name)
			}
		}
	}
}

func TestParseAuth(t *testing.T) {
	for arg, want := range map[string]string{
		"PLAIN": "PLAIN||true", "plain": "PLAIN||true", "Login  AA==": "LOGIN|AA==|true", "XOAUTH2\tA": "XOAUTH2|A|true",
		"OAUTHBEARER =": "OAUTHBEARER|=|true", "CRAM-MD5": "unknown||true", "": "unknown||false", "PLAIN a b": "PLAIN|a b|false",
	} {
		m, initial, ok := ParseAuth([]byte(arg))
		if got := fmt.Sprintf("%s|%s|%t", m, initial, ok); got != want {
			t.Errorf("%q: %s, want %s", arg, got, want)
		}
	}
}

// responses decodes src as lines of an exchange, of which chunk() more octets become known
// at a time.
func responses(t testing.TB, src string, chunk func() int) (list []string) {
	t.Helper()
	var d Decoder
	in := []byte(src)
	discarded, known := 0, 0
	for {
		line, fault, n, ok := d.NextResponse(in[discarded:known])
		if ok {
			list = append(list, fmt.Sprintf("%d %.9s %s@%d", len(line), line, fault, discarded+n))
		}
		discarded += n
		if ok || n > 0 {
			continue
		}
		if held := known - discarded; held > MaxAuthLine {
			t.Fatalf("%d octets are held back", held)
		}
		if known == len(in) {
			return list
		}
		known += min(chunk(), len(in)-known)
	}
}

// TestNextResponse has lines of each length, cut anywhere.
func TestNextResponse(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ src, want string }{
		{"", ""}, {"abc", ""}, {"abc\r", ""},
		{"abc\r\n*\r\n\r\n", "3 abc none@5 1 * none@8 0  none@10"},
		{"NOOP\nNOOP\r\nNOOP\r\n", "4 NOOP bare_lf@5 4 NOOP bare_lf@11 4 NOOP none@17"},
		{"a\rb\r\n\x00\r\n\xff\r\n", "3 a\rb bare_cr@5 1 \x00 nul@8 1 \xff eight_bit@11"},
		{x(MaxAuthLine-2) + "\r\nb\r\n", "12286 xxxxxxxxx none@12288 1 b none@12291"},
		{x(MaxAuthLine-1) + "\r\nb\r\n", "0  line_too_long@12289 1 b none@12292"},
		{x(3*MaxAuthLine) + "\r\nb\r\n", "0  line_too_long@36866 1 b none@36869"},
		{x(3*MaxAuthLine) + "\nb\r\nc\r\n", "0  line_too_long@36865 1 b bare_lf@36868 1 c none@36871"},
		{"\x16\x03\r\n", "2 \x16\x03 none@4"},
	} {
		for name, chunk := range map[string]func() int{
			"whole": func() int { return len(c.src) }, "by octets": func() int { return 1 }, "anywhere": func() int { return 1 + rng.IntN(5000) },
		} {
			if got := strings.Join(responses(t, c.src, chunk), " "); got != c.want {
				t.Errorf("%.20q %s: %q, want %q", c.src, name, got, c.want)
			}
		}
	}
}

// TestLongAuth checks that AUTH may have long lines where it is offered, and nowhere else.
func TestLongAuth(t *testing.T) {
	for _, c := range []struct {
		offered bool
		line    string
		fault   Fault
	}{
		{true, "AUTH PLAIN " + strings.Repeat("x", MaxAuthLine-13) + "\r\n", FaultNone},
		{true, "AUTH PLAIN " + strings.Repeat("x", MaxAuthLine-12) + "\r\n", FaultLineTooLong},
		{true, "NOOP " + strings.Repeat("x", lineLimit) + "\r\n", FaultLineTooLong},
		{false, "AUTH PLAIN " + strings.Repeat("x", lineLimit-13) + "\r\n", FaultNone},
		{false, "AUTH PLAIN " + strings.Repeat("x", lineLimit-12) + "\r\n", FaultLineTooLong},
	} {
		var d Decoder
		d.OfferAuth(c.offered)
		for known := 0; ; known++ {
			cmd, n, ok := d.Next([]byte(c.line)[:min(known, len(c.line))])
			if !ok && n == 0 && known <= len(c.line) {
				continue
			}
			if n > 0 && !ok { // it is swallowed
				cmd, _, ok = d.Next([]byte(c.line)[n:])
			}
			if !ok || cmd.Fault != c.fault {
				t.Errorf("offered %t, %.10q of %d octets: fault %s, ok %t", c.offered, c.line, len(c.line), cmd.Fault, ok)
			}
			break
		}
	}
}

// FuzzExchange has any responses, by any mechanism: what is taken apart is a claim that a
// backend may see.
func FuzzExchange(f *testing.F) {
	f.Add(uint8(1), []byte(b64("\x00ann\x00secret")), []byte(""))
	f.Add(uint8(2), []byte(b64("ann")), []byte(b64("secret")))
	f.Add(uint8(3), []byte(b64("n,a=ann,\x01auth=Bearer x\x01\x01")), []byte(""))
	f.Add(uint8(4), []byte(b64("user=ann\x01auth=Bearer x\x01\x01")), []byte(""))
	f.Fuzz(func(t *testing.T, mechanism uint8, first, second []byte) {
		x := Exchange{Credentials: Credentials{Mechanism: Mechanism(mechanism % uint8(mechanismCount))}}
		done, fault := x.Respond(first, InitialResponse)
		if fault == FaultNone && !done {
			if x.Challenge() == "" {
				t.Fatal("no challenge")
			}
			done, fault = x.Respond(second, LaterResponse)
		}
		if fault == FaultNone && done && (x.User == "" || strings.ContainsAny(x.User, "\x00\r\n")) {
			t.Fatalf("user %q", x.User)
		}
		if x.Mechanism.Token() && done && len(x.Secret) > 0 && bytes.ContainsAny(x.Secret, " \x00\x01\r\n") {
			t.Fatalf("token %q", x.Secret)
		}
	})
}

// TestExchangeKeepsLittle refuses names that are longer than any user's: they stay with the
// session, and there may be as many sessions as connections.
func TestExchangeKeepsLittle(t *testing.T) {
	long := strings.Repeat("a", maxUser+1)
	most := long[1:]
	for text, m := range map[string]Mechanism{
		"\x00" + long + "\x00secret": MechanismPlain,
		long + "\x00ann\x00secret":   MechanismPlain,
		long:                         MechanismLogin,
		"n,a=" + long + ",\x01auth=Bearer t\x01\x01": MechanismOAuthBearer,
		"user=" + long + "\x01auth=Bearer t\x01\x01": MechanismXOAuth2,
	} {
		for name, want := range map[string]Fault{long: FaultSyntax, most: FaultNone} {
			x := Exchange{Credentials: Credentials{Mechanism: m}}
			given := base64.StdEncoding.EncodeToString([]byte(strings.Replace(text, long, name, 1)))
			if _, fault := x.Respond([]byte(given), LaterResponse); fault != want {
				t.Errorf("%s, a name of %d octets: fault %v, want %v", m, len(name), fault, want)
			}
		}
	}
}

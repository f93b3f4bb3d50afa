package codec

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzCommand checks three properties: it never matters where the input is cut, all
// octets except an incomplete line are consumed, and an executable command is clean.
func FuzzCommand(f *testing.F) {
	f.Fuzz(func(t *testing.T, src []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		want := events(t, string(src), whole)
		for _, chunk := range []func() int{single, randomly(rng, 8), randomly(rng, 600)} {
			if got := events(t, string(src), chunk); !slices.Equal(got, want) {
				t.Fatalf("%q:\n got %q\nwant %q", src, got, want)
			}
		}
		var d Decoder
		for rest := src; ; {
			cmd, n, ok := d.Next(rest)
			if !ok && n == 0 {
				break
			}
			if ok && cmd.Fault == FaultNone {
				checkClean(t, cmd, rest[:n])
			}
			rest = rest[n:]
		}
	})
}

// checkClean checks the properties of every line that may be executed.
func checkClean(t *testing.T, cmd Command, line []byte) {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	switch {
	case !ok:
		t.Fatalf("line %q does not end in CRLF", line)
	case bytes.ContainsAny(text, "\r\n\x00"):
		t.Fatalf("line %q holds CR, LF or NUL", line)
	case len(line) > LineLimit(cmd.Verb):
		t.Fatalf("line of %d octets", len(line))
	case !bytes.Contains(text, cmd.Arg):
		t.Fatalf("argument %q of line %q", cmd.Arg, line)
	}
	for _, c := range text {
		if c >= 0x80 {
			t.Fatalf("line %q holds an 8-bit octet", line)
		}
	}
}

// FuzzPath checks that an accepted path consists of its parts, is within the length
// limits, and is accepted again when it is rebuilt.
func FuzzPath(f *testing.F) {
	f.Fuzz(func(t *testing.T, arg []byte) {
		before := bytes.Clone(arg)
		for _, command := range []struct {
			keyword string
			parse   func([]byte) (Path, []byte, Fault)
		}{{"FROM:", ParseMail}, {"TO:", ParseRcpt}} {
			path, params, fault := command.parse(arg)
			if fault != FaultNone {
				continue
			}
			checkPath(t, path)
			again, _, fault := command.parse([]byte(command.keyword + "<" + string(path.Address) + ">"))
			if fault != FaultNone || !samePath(path, again) {
				t.Fatalf("%q: %+v, rebuilt %+v, %v", arg, path, again, fault)
			}
			for {
				p, rest, ok, _ := NextParam(params)
				if !ok {
					break
				}
				if len(p.Key) == 0 || p.HasValue != (len(p.Value) > 0) || len(rest) >= len(params) {
					t.Fatalf("%q: parameter %+v, rest %q", arg, p, rest)
				}
				params = rest
			}
		}
		if !bytes.Equal(arg, before) {
			t.Fatalf("%q was changed to %q", before, arg)
		}
	})
}

func samePath(p, q Path) bool {
	return p.Kind == q.Kind && p.DomainKind == q.DomainKind && bytes.Equal(p.Address, q.Address) &&
		bytes.Equal(p.Local, q.Local) && bytes.Equal(p.Domain, q.Domain)
}

func checkPath(t *testing.T, p Path) {
	switch p.Kind {
	case PathNull:
		if len(p.Address)+len(p.Local)+len(p.Domain) != 0 {
			t.Fatalf("null path is not empty: %+v", p)
		}
	case PathPostmaster:
		if !bytes.EqualFold(p.Address, []byte("postmaster")) || len(p.Domain) != 0 {
			t.Fatalf("postmaster: %+v", p)
		}
	case PathMailbox:
		if string(p.Local)+"@"+string(p.Domain) != string(p.Address) || p.DomainKind == DomainNone {
			t.Fatalf("parts: %+v", p)
		}
		if len(p.Local) > 64 || len(p.Domain) > 255 || len(p.Address) > 254 {
			t.Fatalf("too long: %+v", p)
		}
	}
	for _, c := range p.Address {
		if c < ' ' || c > '~' {
			t.Fatalf("octet %#x in %q", c, p.Address)
		}
	}
}

// FuzzBody checks that the decoder agrees with the naive one however the input is cut and
// however little room there is.
func FuzzBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, src []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		want := naiveBody(string(src))
		scan := canScan
		canScan = false
		portable := decodeBody(t, string(src), len(src)+4, whole)
		canScan = scan
		for _, got := range []decoded{
			portable,
			decodeBody(t, string(src), len(src)+4, whole),
			decodeBody(t, string(src), 4+rng.IntN(100), single),
			decodeBody(t, string(src), 4+rng.IntN(200), randomly(rng, 100)),
		} {
			if got != want {
				t.Fatalf("%q:\n got %+v\nwant %+v", src, got, want)
			}
		}
	})
}

package senders

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/codec"
	"sluice/gateway/addresses"
	"sluice/gateway/linefile"
)

func policy(t testing.TB, lines string) *Policy {
	t.Helper()
	p, err := read(linefile.Text(strings.NewReader(lines)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAllows is the table of who may send as whom.
func TestAllows(t *testing.T) {
	file := policy(t, "# who  as whom\r\n\r\n"+
		"Ann@Example.NET  news@example.org\tINFO@Example.org\r\n"+
		"ann@example.net  @lists.example.org \"a.b\"@example.com <c@example.com>\n"+
		"scanner          scans@example.net\n"+
		"ÜLO              office@example.net\n"+
		"bob@example.net  bob@example.net\n")
	for _, test := range []struct {
		identity, path         string
		own, domain, any, file bool
	}{
		{"ann@example.net", "", true, true, true, true},
		{"scanner", "", true, true, true, true},
		{"", "", true, true, true, true},
		{"ann@example.net", "ann@example.net", true, true, true, true},
		{"ann@example.net", "ANN@Example.Net", true, true, true, true},
		{"ann@example.net", `"ann"@example.net`, true, true, true, true},
		{"ann@example.net", "bob@example.net", false, true, true, false},
		{"ann@example.net", "ann+x@example.net", false, true, true, false},
		{"ann@example.net", "ann@sub.example.net", false, false, true, false},
		{"ann@example.net", "ann@xexample.net", false, false, true, false},
		{"ann@example.net", "ann@example.org", false, false, true, false},
		{"ann@example.net", "news@example.org", false, false, true, true},
		{"ann@example.net", "News@example.org", false, false, true, true},
		{"ann@example.net", "info@example.org", false, false, true, true},
		{"ann@example.net", "anyone@lists.example.org", false, false, true, true},
		{"ann@example.net", "anyone@more.lists.example.org", false, false, true, false},
		{"ann@example.net", `"a\.b"@example.com`, false, false, true, true},
		{"ann@example.net", "c@example.com", false, false, true, true},
		{"ann@example.net", "scans@example.net", false, true, true, false}, // another's
		{"carl@example.net", "carl@example.net", true, true, true, true},   // not in the file
		{"carl@example.net", "news@example.org", false, false, true, false},
		{"scanner", "scans@example.net", false, false, true, true},
		{"scanner", "scanner@example.net", false, false, true, false},
		{"scanner", "news@example.org", false, false, true, false},
		{"ülo", "office@example.net", false, false, true, true},
		{"ülo@example.net", "ulo@example.net", false, false, true, false}, // no address without SMTPUTF8
		{"", "ann@example.net", false, false, true, false},
		{"@example.net", "ann@example.net", false, false, true, false},
		{"ann@", "ann@example.net", false, false, true, false},
		{"evil<ann@example.net>", "ann@example.net", false, false, true, false},
		{"x@evil@example.net", "ann@example.net", false, false, true, false},
		{"ann@[192.0.2.1]", "ann@[192.0.2.1]", true, true, true, true},
		{"ann@[192.0.2.1]", "bob@[192.0.2.1]", false, true, true, false},
		{"ann@example.net", `"x@example.net"@example.org`, false, false, true, false},
		{`"a@b"@example.net`, `"a@b"@example.net`, true, true, true, true},
		{"ann@example.net", `""@example.net`, false, true, true, false},
		{"ann@example.net", `""@lists.example.org`, false, false, true, true},
		{"ann@example.net", "ann", false, false, true, false},
		{strings.Repeat("a", 255), "ann@example.net", false, false, true, false},
		{"ann@example.net", strings.Repeat("a", 300) + "@example.net", false, false, true, false},
	} {
		for _, of := range []struct {
			name   string
			policy *Policy
			want   bool
		}{
			{"own", Named("own"), test.own}, {"domain", Named("domain"), test.domain},
			{"any", Named("any"), test.any}, {"file", file, test.file},
		} {
			if got := of.policy.Allows(test.identity, []byte(test.path)); got != of.want {
				t.Errorf("%s: %.40q as %.40q: %v", of.name, test.identity, test.path, got)
			}
		}
	}
	if Named("") != nil || Named("Own") != nil || Named("/etc/sluice/senders") != nil {
		t.Error("another name has a policy")
	}
	if n, m := file.Count(); n != 4 || m != 8 {
		t.Errorf("%d identities, %d addresses", n, m)
	}
	if n, m := Named("own").Count(); n != 0 || m != 0 {
		t.Errorf("own: %d, %d", n, m)
	}
}

// TestRead checks that a file which is not whole is refused and says where.
func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "no identity in it",
		"# nobody\n":                          "no identity in it",
		"ann@example.net":                     `line 1: "ann@example.net" has no address behind it`,
		"a b@example.net\nann\n":              `line 2: "ann" has no address behind it`,
		"a b@example.net c":                   `line 1: "c" is neither an address`,
		"a b@example.net # c":                 `line 1: "#" is neither an address`,
		"a b@example.net,c@example.net":       `line 1: "b@example.net,c@example.net" is neither an address`,
		"a @":                                 `line 1: "@" is neither an address`,
		"a <>":                                `line 1: "<>" is neither an address`,
		"a *@example.net @-":                  `line 1: "@-" is neither an address`,
		"a \"\"@example.net":                  `line 1: "\"\"@example.net" is neither an address`,
		"\xff b@example.net":                  `line 1: "\xff" is no identity`,
		strings.Repeat("a", 256) + " b@c.net": `line 1: "` + strings.Repeat("a", 80) + `" is no identity`,
		"a " + strings.Repeat("b@c.d ", 1e4) + "e@f.g\nc": `line 2: "c" has no address`,
		"a " + strings.Repeat("b@c.d ", 2e4) + "e@f.g":    "line 1: longer than 65536 bytes",
	} {
		_, err := read(linefile.Text(strings.NewReader(text)))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	name := filepath.Join(t.TempDir(), "senders")
	if err := os.WriteFile(name, []byte("scanner scans@example.net"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, err := Read(name)
	if err != nil || !one.Allows("scanner", []byte("scans@example.net")) {
		t.Errorf("a file: %v", err)
	}
	if other := policy(t, "scanner scans@example.org"); one.Sum() == other.Sum() || one.Sum() != policy(t, "scanner scans@example.net").Sum() {
		t.Error("the digest is not that of the text")
	}
}

// TestNoAllocations holds a decision to no allocation, since event loops make it.
func TestNoAllocations(t *testing.T) {
	who := strings.Repeat("first.last", 6) + "@department.example.net"
	p := policy(t, who+" @example.org news@example.com")
	paths := [][]byte{nil, []byte(who), []byte("x@example.org"), []byte("news@example.com"), []byte("x@example.com")}
	for _, p := range []*Policy{Named("own"), Named("domain"), Named("any"), p} {
		for _, path := range paths {
			if n := testing.AllocsPerRun(100, func() { p.Allows(who, path) }); n != 0 {
				t.Errorf("rule %d, %q: %.0f allocations", p.rule, path, n)
			}
		}
	}
}

// TestMemory holds the memory of a line with two addresses of 40 bytes to 128 bytes.
func TestMemory(t *testing.T) {
	const count = 40_000
	identity := func(i int) string { return fmt.Sprintf("first.last%d@department%d.example.net", i, i%100) }
	alias := func(i int) string { return fmt.Sprintf("info%d@department%d.example.org", i, i%100) }
	var text bytes.Buffer
	for i := range count {
		fmt.Fprintln(&text, identity(i), alias(i))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, err := read(linefile.Text(bytes.NewReader(text.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	identities, pairs := p.Count()
	t.Logf("%d identities with %d addresses hold %.1f MiB", identities, pairs, float64(held)/(1<<20))
	if identities != count || pairs != count || held > count*128 {
		t.Errorf("%d identities with %d addresses hold %d bytes", identities, pairs, held)
	}
	for i := 0; i < count-1; i += 997 {
		if !p.Allows(identity(i), []byte(alias(i))) || p.Allows(identity(i), []byte(alias(i+1))) {
			t.Fatalf("line %d is not as it was", i+1)
		}
	}
	runtime.KeepAlive(p)
	runtime.KeepAlive(&text)
}

// FuzzRead checks that a file allows what stands in it, and nothing else.
func FuzzRead(f *testing.F) {
	f.Add("ann@example.net news@example.org @lists.example.org\n# x\nscanner \"a,b\"@example.net", "scanner", "x@lists.example.org")
	f.Add("A b@c.de\n\nä  <b@c.de>", "ä", "b@c.de")
	f.Fuzz(func(t *testing.T, text, who, as string) {
		p, err := read(linefile.Text(strings.NewReader(text)))
		if err != nil {
			return
		}
		who = strings.ToLower(who)
		var from addresses.Key
		addressed := from.Parse([]byte(as))
		want := as == "" || Named("own").Allows(who, []byte(as))
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			end := strings.IndexAny(line, white)
			identity := strings.ToLower(line[:end])
			for item := range strings.FieldsSeq(line[end:]) {
				var k addresses.Key
				if err := k.ParseItem([]byte(item)); err != nil {
					t.Fatalf("%q was read: %v", item, err)
				}
				if path, _, fault := codec.ParseMail([]byte("FROM:<" + item + ">")); fault == codec.FaultNone && !p.Allows(identity, path.Address) {
					t.Fatalf("%q may not send as %q", identity, item)
				}
				want = want || addressed && identity == who &&
					(bytes.Equal(k.Bytes(), from.Bytes()) || bytes.Equal(k.Bytes(), from.Domain()))
			}
		}
		if got := p.Allows(who, []byte(as)); got != want {
			t.Fatalf("%q as %q: %v", who, as, got)
		}
	})
}

func BenchmarkAllows(b *testing.B) {
	p := policy(b, "ann@example.net news@example.org @lists.example.org")
	path := []byte("someone@lists.example.org")
	b.ReportAllocs()
	for b.Loop() {
		if !p.Allows("ann@example.net", path) {
			b.Fatal("not allowed")
		}
	}
}

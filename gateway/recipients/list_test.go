package recipients

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"sluice/codec"
	"sluice/gateway/linefile"
)

func has(t *testing.T, l *List, address string, delimiter byte) bool {
	t.Helper()
	path, _, fault := codec.ParseRcpt([]byte("TO:<" + address + ">"))
	if fault != codec.FaultNone {
		t.Fatalf("%s: %v", address, fault)
	}
	return l.Has(path.Local, path.Domain, delimiter)
}

func TestHas(t *testing.T) {
	l, err := read(linefile.Text(strings.NewReader("# people\r\n\r\n  ann@example.net \nBob@Example.NET\n" +
		"@example.org\n<carol@example.net>\n\"d.e\"@example.net\n\"f g\"@example.net\nann@example.net\n" +
		"x+y@example.net\nann@[192.0.2.1]")))
	if err != nil {
		t.Fatal(err)
	}
	if l.Count() != 8 {
		t.Errorf("%d addresses", l.Count())
	}
	for _, test := range []struct {
		address   string
		delimiter byte
		want      bool
	}{
		{"ann@example.net", 0, true},
		{"ANN@EXAMPLE.NET", 0, true},
		{"bob@example.net", 0, true},
		{"carol@example.net", 0, true},
		{"d.e@example.net", 0, true},
		{`"d\.e"@example.net`, 0, true},
		{`"f g"@example.net`, 0, true},
		{`"ann"@example.net`, 0, true},
		{"ann@[192.0.2.1]", 0, true},
		{"anyone@example.org", 0, true},
		{"any+one@example.org", '+', true},
		{"ann+news@example.net", '+', true},
		{"ann+news+more@example.net", '+', true},
		{"x+y@example.net", '+', true},
		{"x@example.net", '+', false},
		{"x+z@example.net", '+', false},
		{"+ann@example.net", '+', false},
		{"ann+news@example.net", 0, false},
		{"ann+news@example.net", '-', false},
		{"an@example.net", 0, false},
		{"ann@example.com", 0, false},
		{"ann@sub.example.org", 0, false},
		{"any@example.net", 0, false}, // from reading @example.org
	} {
		if got := has(t, l, test.address, test.delimiter); got != test.want {
			t.Errorf("%s with %q: %v", test.address, test.delimiter, got)
		}
	}
	if l.Has([]byte(strings.Repeat("a", 300)), []byte("example.net"), '+') {
		t.Error("an address of 300 bytes is in the list")
	}
}

// TestRead checks that a list which is not whole is refused and says where.
func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no address in it",
		"# nobody\n":                     "no address in it",
		"ann@example.net\nbob":           `line 2: "bob" is neither an address`,
		"ann@example.net OK":             `line 1: "ann@example.net OK" is neither`,
		"@":                              `line 1: "@" is neither`,
		"ann@":                           `line 1: "ann@" is neither`,
		"@-x":                            `line 1: "@-x" is neither`,
		"<>":                             `line 1: "<>" is neither`,
		`""@example.net`:                 `line 1: "\"\"@example.net" is neither`, // would be the domain
		"ann@ex\x00mple.net":             "line 1: ",
		strings.Repeat("a@b.c,", 2000):   "line 1: longer than 4096 bytes",
		strings.Repeat("a", 65) + "@b.c": "line 1: ",
	} {
		_, err := read(linefile.Text(strings.NewReader(text)))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestWithin(t *testing.T) {
	l, err := read(linefile.Text(strings.NewReader("\"a@b\"@example.net\n@example.org\n")))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]bool{"example.net": true, "example.org": true, "example.com": false} {
		if got := l.Within(func(d []byte) bool { return string(d) == domain }); got != want {
			t.Errorf("%s: %v", domain, got)
		}
	}
}

// TestMillion holds the memory of a million addresses to 64 MiB, and a lookup to no
// allocation.
func TestMillion(t *testing.T) {
	const count = million
	address := func(i int) string { return fmt.Sprintf("first.last%d@department%d.example.net", i, i%100) }
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriter(out)
		for i := range count {
			fmt.Fprintln(w, address(i))
		}
		_ = w.Flush()
		_ = out.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := read(linefile.Text(in))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d addresses hold %.1f MiB", l.Count(), float64(held)/(1<<20))
	if l.Count() != count || held > count*(64<<20)/1_000_000+(1<<20) {
		t.Errorf("%d addresses hold %d bytes", l.Count(), held)
	}
	for i := range count {
		if i%997 == 0 && !has(t, l, address(i), '+') {
			t.Fatalf("%s is not in the list", address(i))
		}
	}
	local, domain := []byte("first.last7+x"), []byte("department7.example.net")
	if n := testing.AllocsPerRun(100, func() { l.Has(local, domain, '+') }); n != 0 {
		t.Errorf("a lookup allocates %.0f times", n)
	}
	runtime.KeepAlive(l)
}

// FuzzRead checks that what is in a list is found, whatever else is in its file.
func FuzzRead(f *testing.F) {
	f.Add("ann@example.net\n@example.org\n\"a b\"@example.net")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := read(linefile.Text(strings.NewReader(text)))
		if err != nil {
			return
		}
		for line := range strings.Lines(text) {
			path, fault := codec.ParseVrfy([]byte(strings.TrimSpace(line)))
			if string(path.Local) == `""` { // stands for no address
				continue
			}
			if fault == codec.FaultNone && path.Kind == codec.PathMailbox && line[0] != '#' &&
				!l.Has(path.Local, path.Domain, 0) {
				t.Fatalf("%q is not in the list", line)
			}
		}
	})
}

package pipeline

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sluice/internal/testkit"
	"strings"
	"testing"
)

// firstLines are bodies by how they begin, with what stands between them and our trace
// fields.
var firstLines = []struct{ body, separator string }{
	{"", ""},
	{"\r\n", ""},
	{"\r\ntext\r\n", ""},
	{"Subject: x\r\n", ""}, // a header alone
	{"Subject: x\r\n\r\ntext\r\n", ""},
	{"Subject : x\r\n\r\ntext\r\n", ""}, // RFC 5322 §4.5.8
	{"X:\r\n y\r\n\r\ntext\r\n", ""},
	{"!#$%&'*+-./0;<=>?@[\\]^_`{|}~: x\r\n\r\n", ""},
	{"x" + strings.Repeat("y", maxField-2) + ":\r\n\r\n", ""},
	{"From: a@example.org\r\n\r\n", ""},

	{" folded\r\nSubject: x\r\n\r\ntext\r\n", "\r\n"},
	{"\tfolded\r\nSubject: x\r\n\r\ntext\r\n", "\r\n"},
	{" \r\ntext\r\n", "\r\n"},
	{"\t", "\r\n"},
	{"plain text\r\nmore\r\n", "\r\n"},
	{"plain text: with a colon\r\n", "\r\n"},
	{"word\r\nSubject: x\r\n\r\n", "\r\n"},
	{": no name\r\nSubject: x\r\n\r\n", "\r\n"},
	{" : no name\r\n", "\r\n"},
	{".\r\n", "\r\n"},
	{"Größe: x\r\n\r\ntext\r\n", "\r\n"},
	{"\xff\xfe\r\n", "\r\n"},
	{"\x7f: x\r\n", "\r\n"},
	{"\x01: x\r\n", "\r\n"},
	{"Subject", "\r\n"},
	{"\n", "\r\n"},
	{"\nSubject: x\r\n", "\r\n"},
	{"\rSubject: x\r\n", "\r\n"},
	{"Sub\x00ject: x\r\n", "\r\n"},
	{"From\tx\r\n", "\r\n"},
	{"from x\r\n", "\r\n"},
	{strings.Repeat("x", 70000) + ": y\r\n\r\ntext\r\n", "\r\n"}, // longer than a slab

	{"From a@example.org Sat Jan  3 01:05:34 1996\r\nSubject: x\r\n\r\ntext\r\n", mailboxLine},
	{">From a@example.org Sat Jan  3 01:05:34 1996\r\nSubject: x\r\n\r\ntext\r\n", mailboxLine},
	{"From \r\nSubject: x\r\n\r\ntext\r\n", mailboxLine},
	{"From a: b\r\n folded\r\nSubject: x\r\n\r\ntext\r\n", mailboxLine},
	{"From " + strings.Repeat("x", 70000) + "\r\nSubject: x\r\n\r\n", mailboxLine},
}

// Whatever a body begins with, it does not become a part of our trace fields, wherever
// its slabs end.
func TestSeparator(t *testing.T) {
	for _, test := range firstLines {
		for a := range min(12, len(test.body)+1) {
			for b := a; b < min(12, len(test.body)+1); b++ {
				if got := string(AppendSeparator(nil, split([]byte(test.body), a, b))); got != test.separator {
					t.Fatalf("%.60q in slabs that end at %d and %d: got %q, want %q", test.body, a, b, got, test.separator)
				}
			}
		}
	}
	body := split([]byte("From a\r\n"))
	header := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { header = AppendSeparator(header[:0], body) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What stands below an empty line of ours is body, for the event as for whoever reads
// the object: it has no Message-ID and no Received fields.
func TestSeparatedBodyHasNoHeader(t *testing.T) {
	for _, test := range firstLines {
		first, _, ended := strings.Cut(test.body, "\r\n")
		if !ended || first == "" {
			continue
		}
		want := 1
		if test.separator == emptyLine {
			want = 0
		}
		var s HeaderSummary
		s.ScanHeader(split([]byte(first + "\r\nMessage-ID: <1@x>\r\nReceived: a\r\n\r\n")))
		if s.Received != want || len(s.MessageID) != want*len("<1@x>") {
			t.Errorf("%.60q: %d Received, Message-ID %q", first, s.Received, s.MessageID)
		}
	}
}

// parsePython prints what Python's parser makes of each file.
const parsePython = `
import email, email.policy, json, sys
for name in sys.argv[1:]:
    with open(name, "rb") as f:
        m = email.message_from_bytes(f.read(), policy=email.policy.compat32)
    print(json.dumps({
        "received": m.get_all("Received", []),
        "fields": [k for k, v in m.raw_items()],
        "defects": [type(d).__name__ for d in m.defects],
    }))
`

// Python's parser, which is another's and takes more for a line end than we do, finds
// our Received field as we wrote it in every stored object, and the sender's fields
// where they are fields.
func TestPythonParsesWhatIsStored(t *testing.T) {
	python := testkit.Tool(t, "python3")
	const received = "from c.example.org ([192.0.2.1])\r\n\tby mx.example.net with ESMTP id x;\r\n\tSat, 28 Feb 2026 23:02:03 +0000"
	dir, args := t.TempDir(), []string{"-c", parsePython}
	for i, test := range firstLines {
		object := AppendSeparator([]byte("Received: "+received+"\r\n"), split([]byte(test.body)))
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, append(object, test.body...), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.CommandContext(t.Context(), python, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(firstLines) {
		t.Fatalf("%d of %d were parsed", len(lines), len(firstLines))
	}
	for i, line := range lines {
		var got struct {
			Received, Fields, Defects []string
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		test := firstLines[i]
		if len(got.Received) != 1 || got.Received[0] != received {
			t.Errorf("%.60q: Received is %q", test.body, got.Received)
		}
		if len(got.Defects) > 0 && !strings.HasPrefix(test.body, "Subject : ") { // Python knows no obs-optional
			t.Errorf("%.60q: defects %v", test.body, got.Defects)
		}
		if test.separator == mailboxLine && strings.Join(got.Fields, " ") != "Received X-Mailbox-Line Subject" {
			t.Errorf("%.60q: fields %v", test.body, got.Fields)
		}
		if test.separator == "\r\n" && len(got.Fields) != 1 {
			t.Errorf("%.60q: fields %v", test.body, got.Fields)
		}
	}
}

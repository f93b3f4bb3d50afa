package pipeline

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// headerStart is how a text begins that is not stored below an empty line.
var headerStart = regexp.MustCompile(`\A([!-9;-~]+[ \t]*:|>*From |\r\n|\z)`)

// naiveSummary is what ScanHeader is compared with: the same rules on a whole
// copy.
func naiveSummary(body []byte) (received int, messageID string) {
	if !headerStart.Match(body[:min(len(body), 998)]) {
		return 0, ""
	}
	body = body[:min(len(body), 256<<10)]
	folded := false
	for {
		line, rest, ended := bytes.Cut(body, []byte("\n"))
		if !ended {
			return received, messageID
		}
		body = rest
		text := strings.TrimRight(string(line[:min(len(line), 998)]), "\r\n")
		name, value, _ := strings.Cut(text, ":")
		switch {
		case text == "":
			return received, messageID
		case text[0] == ' ' || text[0] == '\t':
			if folded {
				messageID = trimASCII(text)
				folded = messageID == ""
			}
			continue
		case equalASCII(name, "received") && len(text) > len(name):
			received++
		case equalASCII(name, "message-id") && len(text) > len(name) && messageID == "":
			messageID = trimASCII(value)
			folded = messageID == ""
			continue
		}
		folded = false
	}
}

func trimASCII(s string) string { return string(bytes.TrimSpace([]byte(s))) }

// equalASCII leaves letters outside ASCII alone, as strings.EqualFold would not.
func equalASCII(a, b string) bool {
	for i := range len(a) {
		if a[i] >= 0x80 {
			return false
		}
	}
	return strings.EqualFold(a, b)
}

// split makes a body of slabs that end at these places.
func split(octets []byte, ends ...int) *Body {
	b := &Body{size: int64(len(octets))}
	at := 0
	for _, end := range append(ends, len(octets)) {
		end = max(at, min(end, len(octets)))
		b.slabs = append(b.slabs, octets[at:end])
		at = end
	}
	return b
}

func checkSummary(t *testing.T, octets []byte, b *Body) {
	t.Helper()
	var s HeaderSummary
	s.ScanHeader(b)
	received, messageID := naiveSummary(octets)
	if s.Received != received || string(s.MessageID) != messageID {
		t.Errorf("%.80q: %d Received, Message-ID %q, want %d and %q", octets, s.Received, s.MessageID, received, messageID)
	}
}

var headers = []string{
	"", "\r\n", "\n", "x", " x\r\nReceived: a\r\n", "x\r\nReceived: a\r\n", "From x\r\nReceived: a\r\n",
	"Received: a\r\n", "Received: a\r\n\r\nReceived: body\r\n",
	"Received: a\r\nreceived:b\nRECEIVED:\r\nX-Received: c\r\nReceived-SPF: d\r\n received: folded\r\n\r\n",
	"Message-ID: <1@x>\r\nMessage-Id: <2@x>\r\n\r\n",
	"Message-ID:\r\n\t <1@x> \r\n <more>\r\n\r\n",
	"Message-ID:\r\n \r\n <1@x>\r\n\r\n",
	"Message-ID:\r\nSubject: x\r\n <1@x>\r\n\r\n",
	"Message-ID:\r\nMessage-ID: <2@x>\r\n\r\n",
	"Subject: x\r\nMessage-ID: <1@x>",
	"Subject: x\r\n\r\nMessage-ID: <body@x>\r\n\r\n",
	"Message-ID: <" + strings.Repeat("x", 2000) + ">\r\nReceived: a\r\n\r\n",
	"X: " + strings.Repeat("y", 2000) + "\r\nReceived: a\r\n" + strings.Repeat("\r", 2000) + "\nReceived: b\r\n",
}

// TestScanHeaderSplits scans whole and split at every place: chunking never matters.
func TestScanHeaderSplits(t *testing.T) {
	for _, h := range headers {
		octets := []byte(h)
		checkSummary(t, octets, split(octets))
		for i := range octets {
			checkSummary(t, octets, split(octets, i))
			checkSummary(t, octets, split(octets, i, i+1))
		}
	}
}

func TestScanHeaderKnown(t *testing.T) {
	var s HeaderSummary
	octets := []byte("Received: a\r\nMessage-ID:\r\n\t<1@example.org> \r\nreceived: b\r\n\r\nReceived: c\r\n")
	s.ScanHeader(split(octets))
	if s.Received != 2 || string(s.MessageID) != "<1@example.org>" {
		t.Errorf("%d Received, Message-ID %q", s.Received, s.MessageID)
	}
	b := split(octets, 20, 40)
	if allocs := testing.AllocsPerRun(100, func() { s.ScanHeader(b) }); allocs > 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

// TestScanHeaderBound shows that what stands behind 256 KiB is not looked at,
// wherever the slabs end.
func TestScanHeaderBound(t *testing.T) {
	line := []byte("Received: from somewhere by somewhere else with something, every line the same\r\n")
	octets := bytes.Repeat(line, 400<<10/len(line))
	want := 256 << 10 / len(line)
	for _, ends := range [][]int{nil, {256<<10 - 1}, {256 << 10}, {256<<10 + 1}, {100 << 10, 200 << 10, 300 << 10}} {
		var s HeaderSummary
		s.ScanHeader(split(octets, ends...))
		if s.Received != want {
			t.Errorf("split at %d: %d Received, want %d", ends, s.Received, want)
		}
	}
}

// FuzzScanHeader compares with the naive reading, split anywhere.
func FuzzScanHeader(f *testing.F) {
	for _, h := range headers {
		f.Add([]byte(h), uint16(7), uint16(20))
	}
	f.Fuzz(func(t *testing.T, octets []byte, one, two uint16) {
		checkSummary(t, octets, split(octets))
		checkSummary(t, octets, split(octets, int(one), int(two)))
		checkSummary(t, octets, split(octets, int(min(one, two)), int(max(one, two))))
	})
}

package pipeline

import (
	"bytes"
	"strings"
	"testing"
)

type noLoop struct{}

func (noLoop) Post(*Task) {}

// scanned returns the length of the header of a message whose body comes in pieces of at
// most step bytes, as its loop reads it, or -1 when it has no end.
func scanned(m *Message, pool *SlabPool, text string, step int) int {
	m.Loop = noLoop{}
	m.Verify("state", func(*Message, *Piece) {})
	for rest := []byte(text); len(rest) > 0; {
		if len(m.Body.Room()) == 0 {
			m.Body.Grow(pool)
		}
		room := m.Body.Room()
		n := copy(room[:min(step, len(room))], rest)
		m.Body.Wrote(n)
		rest = rest[n:]
		if m.Verification.Scan(room[:n]) {
			p := m.TakeHeader(false)
			return len(bytes.Join(p.Chunks, nil))
		}
	}
	return -1
}

func TestHeaderEnds(t *testing.T) {
	long := strings.Repeat("X: y\r\n", 2000)
	pool := NewSlabPool(1 << 20)
	for _, test := range []struct {
		text string
		end  int
	}{
		{"\r\ntext", 2},
		{"A: b\r\n\r\ntext", 8},
		{"A: b\r\nC: d\r\n\r\n\r\n", 14},
		{"A: b\r\n\n\r\n\r\n", 11}, // the second line is an LF alone
		{"A: b\n\n\r\ntext", -1},
		{"A: b\r\n\r\r\ntext", -1},
		{"A: b\r\n \r\ntext", -1},
		{"A: b", -1},
		{"", -1},
		{long + "\r\nX", len(long) + 2},
		{strings.Repeat("X", maxHeader-2) + "\r\n\r\n", maxHeader},
		{strings.Repeat("X", maxHeader-4) + "\r\n\r\n", maxHeader},
	} {
		for _, step := range []int{1, 2, 3, 5, 1000, 1 << 30} {
			var m Message
			m.Reset()
			if got := scanned(&m, pool, test.text, step); got != test.end {
				t.Errorf("%.40q by %d: the header ends at %d, not %d", test.text, step, got, test.end)
			}
			m.Body.Release(pool)
		}
	}
}

// TestPiecesAreTheMessage: header and text are all of it, and a header that has no end, or
// is too long, is taken as far as it goes.
func TestPiecesAreTheMessage(t *testing.T) {
	pool := NewSlabPool(1 << 20)
	for name, test := range map[string]struct {
		text    string
		follows bool
		header  int
		long    bool
	}{
		"common":             {"A: b\r\n\r\n" + strings.Repeat("text\r\n", 9000), false, 8, false},
		"no text":            {"A: b\r\n\r\n", false, 8, false},
		"no end":             {"A: b\r\nC: d\r\n", false, 12, false},
		"no end and more":    {"A: b\r\nC: d\r\n", true, 12, true},
		"empty":              {"", false, 0, false},
		"longer than may be": {strings.Repeat("A: b\r\n", maxHeader/6+100), false, maxHeader, true},
	} {
		var m Message
		m.Reset()
		scanned(&m, pool, "", 1)
		for rest := []byte(test.text); len(rest) > 0; {
			if len(m.Body.Room()) == 0 {
				m.Body.Grow(pool)
			}
			room := m.Body.Room()
			n := copy(room, rest)
			m.Body.Wrote(n)
			rest = rest[n:]
			if m.Verification.Scan(room[:n]) {
				m.TakeHeader(false)
			}
		}
		m.TakeHeader(test.follows)
		if m.TakeHeader(false) != nil {
			t.Errorf("%s: the header was taken twice", name)
		}
		header := &m.Verification.header
		if n := len(bytes.Join(header.Chunks, nil)); n != test.header || header.TooLong != test.long {
			t.Errorf("%s: a header of %d bytes, too long: %v", name, n, header.TooLong)
		}
		all := bytes.Join(header.Chunks, nil)
		if text := m.TakeText(); text != nil {
			all = append(all, bytes.Join(text.Chunks, nil)...)
		}
		if string(all) != test.text {
			t.Errorf("%s: the pieces are not the message", name)
		}
		m.Body.Release(pool)
	}
}

// TestRename renames where the name stands, in any case and over the edge of a slab, and
// nowhere else.
func TestRename(t *testing.T) {
	pool := NewSlabPool(1 << 20)
	const field = "AUTHENTICATION-results: us; spf=pass\r\n"
	for at := slabSmall - 50; at < slabSmall+10; at++ {
		var b Body
		text := strings.Repeat("x", at) + field + strings.Repeat("y", 100)
		fill(&b, pool, []byte(text), 1<<20)
		places := []int{at, -1, at + 1, 0, len(text) - 5, len(text) + 5, at}
		if n := b.rename(places, int64(len(text))); n != 1 {
			t.Errorf("%d fields were renamed at %d", n, at)
		}
		want := strings.Replace(text, "AUTHENTICATION-results", "X-Spoofed-Auth-Results", 1)
		if got := string(bytes.Join(b.Chunks(), nil)); got != want {
			t.Errorf("at %d: %q", at, got[at-2:at+40])
		}
		b.Release(pool)
		fill(&b, pool, []byte(text), 1<<20)
		if n := b.rename([]int{at}, int64(at+len("Authentication-Results")-1)); n != 0 {
			t.Errorf("%d fields were renamed beyond the header", n)
		}
		b.Release(pool)
	}
}

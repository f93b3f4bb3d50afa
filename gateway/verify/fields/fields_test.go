package fields_test

import (
	"bytes"
	"strings"
	"testing"

	"sluice/gateway/verify/fields"
)

func FuzzReader(f *testing.F) {
	f.Add([]byte("A: b\r\n c\r\nD :e\r\n\r\nbody"), uint8(3))
	f.Add([]byte("\r\nbody"), uint8(1))
	f.Fuzz(func(t *testing.T, mail []byte, size uint8) {
		var r fields.Reader
		rest := mail
		var body []byte
		for len(rest) > 0 {
			part := rest[:min(len(rest), int(size)+1)]
			rest = rest[len(part):]
			body = append(body, part[r.Write(part):]...)
		}
		if !bytes.Equal(append(bytes.Clone(r.Text()), body...), mail) {
			t.Fatalf("%q and %q of %q", r.Text(), body, mail)
		}
		end := bytes.Index(append([]byte("\r\n"), mail...), []byte("\r\n\r\n"))
		if r.Done() != (end >= 0) || r.Done() && len(r.Text()) != end+2 {
			t.Errorf("%q ends %d, %v", mail, len(r.Text()), r.Done())
		}
		list, _ := fields.Split(r.Text())
		for _, field := range list {
			if field.Colon < 0 {
				continue
			}
			if field.Raw[field.Colon] != ':' || len(field.Name()) == 0 || !field.Is(string(field.Name())) {
				t.Errorf("%q", field.Raw)
			}
		}
	})
}

func TestLongHeaderIsNotRead(t *testing.T) {
	var r fields.Reader
	r.Write([]byte("A: b\r\n"))
	if n := r.Write(make([]byte, fields.MaxHeader)); n != fields.MaxHeader-6 || !r.TooLong() || r.Done() {
		t.Errorf("%d, %v", n, r.TooLong())
	}
	if _, ok := fields.Split(bytes.Repeat([]byte("a:\r\n"), fields.MaxFields+1)); ok {
		t.Error("too many fields were split")
	}
}

// TestCut has headers that programs read differently, cut at "|" where the first of them
// ends.
func TestCut(t *testing.T) {
	for _, want := range []string{
		"", "A: b\r\n|", "A: b\r\n c\r\n\td\r\nE :f\r\n|\r\n", "|\r\n", "|\n", "|B\r\nA: b\r\n\r\n", "| A: b\r\n\r\n",
		"From a\r\nA: b\r\n|\r\n", ">>From a\nA: b\r\n|\r\n", "A: b\r\n|From a\r\n\r\n", "A: b\n|\nC\r\n\r\n", "A: b\r|\rC: d\r\n\r\n",
		"A: b\r|\r\nC: d\r\n\r\n", "A: b\n c\rD: e\r\n|F\r\n\r\n", "A: b\r\n|: c\r\n\r\n", "A : b\r\nC : d\n|E : f\r\n\r\n", "A: b\r|C\t: d\r\n\r\n", "A: b\r\n|\xe9: c\r\n\r\n", "A:|",
	} {
		before, after, _ := strings.Cut(want, "|")
		seen, rest := fields.Cut([]byte(before + after))
		for _, end := range []string{"\r\n", "\n", "\r"} {
			if cut, ok := strings.CutPrefix(after, end); ok {
				after = cut
				break
			}
		}
		if string(seen) != before || string(rest) != after {
			t.Errorf("%q is cut into %q and %q", want, seen, rest)
		}
	}
}

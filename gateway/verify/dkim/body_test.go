package dkim

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// TestBodiesAgreeWithNaiveOnes shows that the canonical bodies of every short text agree with
// naive ones, wherever the text is cut.
func TestBodiesAgreeWithNaiveOnes(t *testing.T) {
	letters := []string{"a", " ", "\t", "\r", "\n", "\r\n"}
	texts := []string{""}
	for level := texts; len(level[0]) < 4; {
		var next []string
		for _, text := range level {
			for _, letter := range letters {
				next = append(next, text+letter)
			}
		}
		texts = append(texts, next...)
		level = next
	}
	for _, text := range texts {
		for kind, naive := range map[canon]func(string) string{simple: naiveSimple, relaxed: naiveRelaxed} {
			want := sha256.Sum256([]byte(naive(text)))
			for cut := 0; cut <= len(text); cut++ {
				b := newBodyHash(kind)
				for n := range 1 + int64(len(text)+2) {
					b.hash.mark(int64(len(text)+2) - n)
				}
				b.write([]byte(text[:cut]))
				b.write([]byte(text[cut:]))
				b.end()
				if [sha256.Size]byte(b.hash.sum(-1)) != want {
					t.Fatalf("%d body %q, cut at %d, is not %q", kind, text, cut, naive(text))
				}
				checkLengths(t, &b.hash, naive(text))
			}
		}
	}
}

// checkLengths checks the hashes of the beginnings of a canonical body.
func checkLengths(t *testing.T, l *lengths, body string) {
	t.Helper()
	for n := range len(body) + 1 {
		if want := sha256.Sum256([]byte(body[:n])); !bytes.Equal(l.sum(int64(n)), want[:]) {
			t.Fatalf("%d bytes of %q", n, body)
		}
	}
	if l.n != int64(len(body)) || l.sum(l.n+1) != nil {
		t.Fatalf("%d bytes of %q, and more", l.n, body)
	}
}

func naiveSimple(text string) string {
	for strings.HasSuffix(text, "\r\n") {
		text = strings.TrimSuffix(text, "\r\n")
	}
	return text + "\r\n"
}

func naiveRelaxed(text string) string {
	lines := strings.Split(text, "\r\n")
	for i, line := range lines {
		line = strings.ReplaceAll(line, "\t", " ")
		for strings.Contains(line, "  ") {
			line = strings.ReplaceAll(line, "  ", " ")
		}
		lines[i] = strings.TrimSuffix(line, " ")
	}
	text = naiveSimple(strings.Join(lines, "\r\n"))
	if text == "\r\n" {
		return ""
	}
	return text
}

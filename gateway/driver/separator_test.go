package driver

import (
	"strings"
	"testing"
)

// What keeps a message's first line apart from our trace fields is stored behind them
// and counted with them, of a large message that leaves in parts too.
func TestFirstLineDoesNotContinueOurs(t *testing.T) {
	const large = 3 * testPartSize
	for _, test := range []struct{ sent, separator string }{
		{"", ""},
		{"Subject: x\r\n", ""},
		{"Subject: x\r\n\r\n" + largeText(large), ""},
		{" folded\r\n", "\r\n"},
		{" folded\r\n" + largeText(large), "\r\n"},
		{"..\r\n", "\r\n"},
		{strings.Repeat("x", large) + "\r\n", "\r\n"},
		{"From a Sat Jan  3 01:05:34 1996\r\n", "X-Mailbox-Line: "},
		{"From a Sat Jan  3 01:05:34 1996\r\n" + largeText(large), "X-Mailbox-Line: "},
	} {
		w, store := partWorld(t, testOptions())
		s := w.connect()
		s.send(ehlo + envelope)
		s.hear()
		s.send(test.sent + ".\r\n")
		if got := s.hear(); !strings.HasPrefix(got, "250 ") {
			t.Fatalf("%.50q: got %q", test.sent, got)
		}
		// Of parts this is the first, with what stands on top.
		header := strings.TrimSuffix(string(store.puts[0]), store.in[0])
		if !strings.HasSuffix(header, "+0000\r\n"+test.separator) {
			t.Errorf("%.50q: on top stands %q", test.sent, header)
		}
		for _, whole := range store.stored {
			if strings.TrimPrefix(test.sent, ".") != whole {
				t.Errorf("%.50q: stored %.50q below it", test.sent, whole)
			}
		}
		s.gone()
		w.cleanParts(store)
	}
}

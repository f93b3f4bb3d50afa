package driver

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/gateway/session"
)

// publishedEnds are the ends of data that published scanners for SMTP smuggling try
// (CVE-2023-51764, -51765, -51766 and their kin).
var publishedEnds = []string{
	"\n.\n", "\n.\r\n", "\n.\r", "\r.\r", "\r.\n", "\r.\r\n", "\r\n.\n", "\r\n.\r",
	"\n\n.\n", "\n\n.\r\n", "\r\r.\r\r", "\r\n\n.\r\n", "\r\n.\r\r\n", "\r\r\n.\r\n", "\r\r\n.\r\r\n",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\x00\n", "\r\x00\n.\r\n", "\x00.\x00", "\n\x00.\n",
	"\r\n\r.\r\n", "\r\n.\n\r\n", "\r\n.\n\r", "\n\r.\n\r", "\r.\x00\r\n",
}

// ends is every dot between up to three bytes of CR, LF and NUL on either side, the
// published ones among them.
func ends() []string {
	sides, last := []string{""}, []string{""}
	for range 3 {
		var longer []string
		for _, side := range last {
			longer = append(longer, side+"\r", side+"\n", side+"\x00")
		}
		sides, last = append(sides, longer...), longer
	}
	all := append([]string{}, publishedEnds...)
	for _, before := range sides {
		for _, behind := range sides {
			all = append(all, before+"."+behind)
		}
	}
	return all
}

const smuggled = "MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" +
	"Subject: smuggled\r\n\r\nsmuggled\r\n.\r\nQUIT\r\n"

// ambiguous is a naive reference for codec.BodyDecoder.Ambiguous.
func ambiguous(text string) bool {
	return strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n\x00")
}

// Of a text with an end of data that others may see, and a second message behind it,
// neither is taken and no command is executed: the real end has its one answer.
func TestSmuggling(t *testing.T) {
	for _, tolerate := range []bool{false, true} {
		o := testOptions()
		o.Settings.Tolerate = tolerate
		w := newWorld(t, o)
		random := rand.New(rand.NewPCG(1, 2))
		seen := map[string]int{}
		for _, hello := range []string{"EHLO c.example.com\r\n", "HELO c.example.com\r\n"} {
			for _, end := range ends() {
				for _, most := range []int{1 << 20, 1, 7} {
					sent := "Subject: first\r\n\r\nfirst" + end + smuggled
					s := w.connect()
					s.send(hello + envelope)
					s.hear()
					events := len(w.log.events)
					for rest := sent; rest != "" && !s.closed; {
						n := min(len(rest), most)
						if most == 7 {
							n = min(len(rest), 1+random.IntN(7))
						}
						s.send(rest[:n])
						rest = rest[n:]
					}
					text, behind, _ := strings.Cut(sent, "\r\n.\r\n")
					text += "\r\n"
					got, taken := s.hear(), len(w.log.events)-events
					about := fmt.Sprintf("tolerate %v, end %q in pieces of %d", tolerate, end, most)
					switch {
					case ambiguous(text) && !tolerate:
						seen["refused"]++
						if !strings.HasPrefix(got, "554 5.6.0 ") || strings.Count(got, "\r\n") != 1 || taken != 0 {
							t.Errorf("%s: %d taken, got %q", about, taken, got)
						}
						if !s.half && !s.closed {
							t.Errorf("%s: still open", about)
						}
					case behind == "QUIT\r\n":
						seen["one message"]++
						want := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n")[2:]
						if taken != 1 || w.store.in[len(w.store.in)-1] != want || strings.Count(got, "\r\n") != 2 {
							t.Errorf("%s: %d taken, got %q, stored %q", about, taken, got, w.store.in[len(w.store.in)-1])
						}
					case behind == smuggled: // the real end, with the sender's own next message behind it
						seen["two messages"]++
						if taken != 2 {
							t.Errorf("%s: %d taken of 2, got %q", about, taken, got)
						}
					default: // the same, and what spoils its MAIL
						if taken != 1 || !strings.Contains(got, "\r\n500 5.5.2 ") {
							t.Errorf("%s: %d taken of 1, got %q", about, taken, got)
						}
					}
					if !s.closed {
						s.gone()
					}
				}
			}
		}
		if seen["refused"] == 0 != tolerate || seen["one message"] == 0 || seen["two messages"] == 0 {
			t.Errorf("tolerate %v: %v", tolerate, seen)
		}
		w.clean()
	}
}

// A network of devices that know no better is exempt, and no other.
func TestSmugglingExempt(t *testing.T) {
	o := testOptions()
	o.Settings.TolerateFrom = prefixes("198.51.100.0/24")
	w := newWorld(t, o)
	for from, want := range map[string]string{
		"198.51.100.7:1": "250 ", "[::ffff:198.51.100.7]:1": "250 ", "192.0.2.1:1": "554 5.6.0 ",
	} {
		s := w.connectFrom(from)
		s.send(ehlo + envelope)
		s.hear()
		s.send("bare\nline\r\n.\r\n")
		if got := s.hear(); !strings.HasPrefix(got, want) {
			t.Errorf("from %s: got %q, want %s", from, got, want)
		}
		s.gone()
	}
	w.clean()
}

// From the first bad byte on nothing is kept of the message, and its answer comes at
// its end. A CR at the end of what has come is not bare yet.
func TestSmugglingGivesMemoryBack(t *testing.T) {
	w, store := partWorld(t, testOptions())
	store.holdParts = true
	s := w.connect()
	s.send(ehlo + envelope)
	s.hear()
	s.send(largeText(3*testPartSize) + "cr\r")
	held, parts := w.shared.Budget.Used(), w.shared.Parts.Used()
	if held == 0 || parts == 0 || len(store.uploads) != 1 {
		t.Fatalf("%d and %d octets held, %d uploads", held, parts, len(store.uploads))
	}
	s.send("\nx\r")
	if w.shared.Budget.Used() != held || w.shared.Parts.Used() != parts {
		t.Error("given up at a CR that may have its LF yet")
	}
	s.send("x")
	store.release()
	w.settle()
	if held, parts := w.shared.Budget.Used(), w.shared.Parts.Used(); held != 0 || parts != 0 || len(store.uploads) != 0 {
		t.Errorf("%d and %d octets held, %d uploads, behind a bare CR", held, parts, len(store.uploads))
	}
	s.send(largeText(3 * testPartSize))
	if held := w.shared.Budget.Used(); held != 0 {
		t.Errorf("%d octets held of text that is dropped", held)
	}
	if got := s.hear(); got != "" {
		t.Errorf("said before the end: %q", got)
	}
	s.send(".\r\nNOOP\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "554 5.6.0 ") || strings.Count(got, "\r\n") != 1 {
		t.Errorf("got %q", got)
	}
	if n := w.seen.messages["smuggling"]; n != 1 {
		t.Errorf("messages counted: %v", w.seen.messages)
	}
	s.gone()
	w.cleanParts(store)
}

// The deadlines and the least rate of a text that is dropped run on.
func TestSmugglingKeepsTheRate(t *testing.T) {
	o := testOptions()
	o.MinDataRate = 500
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + envelope)
	s.hear()
	s.send("bare\nline\r\n")
	for range 70 {
		w.advance(10 * tickLength)
		if !s.half && !s.closed {
			s.send("x\r\n")
		}
	}
	if got := s.hear(); !strings.HasPrefix(got, "421 4.4.2 ") {
		t.Errorf("got %q", got)
	}
	s.gone()
	w.clean()
}

// Whatever else was wrong with a message before, an ambiguous text ends the session:
// the answer does not depend on how the text was cut into reads.
func TestSmugglingOutweighs(t *testing.T) {
	o := testOptions()
	limits := testLimits()
	limits.MessageSize = 1000
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	for _, sent := range []string{
		"a\nb\r\n" + strings.Repeat("x", 1200), strings.Repeat("x", 1200) + "a\nb",
		"a\nb\r\n" + strings.Repeat("x", 3000), // padding past twice the limit hides nothing
	} {
		w := newWorld(t, o)
		s := w.connect()
		s.send(ehlo + envelope)
		s.hear()
		s.send(sent + "\r\n.\r\n")
		if got := s.hear(); !strings.HasPrefix(got, "554 5.6.0 ") {
			t.Errorf("got %q", got)
		}
		s.gone()
		w.clean()
	}
}

package sim

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// hoardWorlds marks the seeds of worlds in which some clients hold memory and hardly get
// on. They do so in the calm too: the others must deliver all the same.
const hoardWorlds = 1 << 61

// newHoarder returns a client that begins messages and never ends one. It is a sender
// without letters.
func newHoarder(w *world, n int) *sender {
	s := &sender{w: w, n: 200 + n, hoards: true}
	w.after(w.within(time.Second), s.act)
	return s
}

// hoard has a hoarder get on by a little, or begin anew.
func (s *sender) hoard() {
	w := s.w
	if s.socket == nil {
		if w.process == nil || w.now < s.nextTry {
			w.after(max(s.nextTry-w.now, 100*time.Millisecond), s.wake)
			return
		}
		s.socket, s.heard, s.unsent, s.since = w.process.connect(s), nil, []byte(s.hoarded()), w.now
		w.note("hoarder connects", s.n, len(s.unsent))
	}
	c := s.socket
	s.heard = append(s.heard, c.hear()...)
	if c.half || c.closed || c.dead || bytes.Contains(s.heard, []byte("\r\n4")) {
		w.tally["hoarders cut"]++
		if !c.dead {
			c.reset()
		}
		s.lose()
		return
	}
	s.unsent = s.unsent[c.send(s.unsent):]
	if len(s.unsent) == 0 && bytes.Contains(s.heard, []byte("\r\n354")) {
		w.tally["hoarded"]++
		s.unsent = append(s.unsent, filler[:1+w.random.IntN(60)]...)
		if s.spoils {
			w.tally["hoarded with a refused text"]++
			s.unsent = append(s.unsent, '\n')
		}
		s.unsent = append(s.unsent, "\r\n"...)
	}
	w.after(50*time.Millisecond+w.within(500*time.Millisecond), s.wake)
}

// hoarded returns what a hoarder sends at once: recipients, of which some have a text that
// is refused, or most of a message.
func (s *sender) hoarded() string {
	w := s.w
	mail := fmt.Sprintf("EHLO c.example.com\r\nMAIL FROM:<a@example.com> SIZE=%d\r\n", messageLimit)
	s.spoils = false
	if w.chance(400) {
		mail += strings.Repeat("RCPT TO:<"+strings.Repeat("u", 60)+"@"+strings.Repeat("d.", 80)+"example.net>\r\n", 20)
		if s.spoils = w.chance(500); s.spoils {
			mail += "DATA\r\n"
		}
		return mail
	}
	lines := strings.Repeat(filler[:70]+"\r\n", w.random.IntN(messageLimit/72))
	return mail + "RCPT TO:<b@example.net>\r\nDATA\r\n" + lines
}

package sim

import (
	"fmt"
	"strings"
	"time"
)

// sender is a client that delivers its letters, one after another, as long as it
// takes. It sends as RFC 2920 allows, and now and then more than that.
type sender struct {
	w         *world
	n         int
	letters   []*letter
	delivered []delivery
	awake     bool
	silent    bool // the third phase
	hoards    bool // it is a hoarder
	spoils    bool // whose text is refused

	socket   *socket
	unsent   []byte
	sent     int           // bytes given to the connection
	said     int           // bytes of all commands and text put into the stream
	last     bool          // it half-closes once all is sent
	over     bool          // it has half-closed
	refused  int           // recipients and messages since the last that was accepted
	expected []expectation // replies that are due, in the order of the commands
	heard    []byte
	host     string // the gateway's name in its reply to EHLO
	deafTo   time.Duration
	stillTo  time.Duration
	since    time.Duration // nothing came from Sluice
	nextTry  time.Duration
	turn     uint64 // invalidates timers of earlier connections
	proof    proof
}

// expectation is the reply to one command: its code when all is well.
type expectation struct {
	to     string
	want   string // prefix
	letter *letter
	end    int    // where the command ends in the stream
	try    *try   // whose outcome the reply says
	then   func() // what the sender does when it has the reply that is due
}

const patience = 25 * time.Second

func newSender(w *world, n int) *sender {
	s := &sender{w: w, n: n}
	for i := range w.plan.letters {
		l := &letter{n: i, body: w.letterText(n, i)}
		if w.plan.verify {
			w.forge(l)
		}
		if l.odd = w.chance(60); l.odd {
			l.body = w.spoil(l.body)
		}
		if l.from = fmt.Sprintf("from-%d-%d@example.com", n, i); i%5 == 4 {
			l.from = "" // as of a bounce
		}
		if (n+i)%3 == 0 {
			l.declared = int64(len(l.body))
		}
		s.letters = append(s.letters, l)
	}
	w.after(w.within(time.Second), s.act)
	return s
}

// wake has the sender look soon at what has happened.
func (s *sender) wake() {
	if !s.awake {
		s.awake = true
		s.w.after(s.w.within(2*time.Millisecond), s.act)
	}
}

func (s *sender) act() {
	s.awake = false
	if s.silent {
		return
	}
	w := s.w
	switch {
	case s.hoards:
		s.hoard()
		return
	case s.socket == nil:
		s.open()
		return
	case s.deafTo > w.now: // it does not read, and may send
		s.push()
		return
	case w.fault("client deaf", w.plan.deaf):
		s.deafTo, s.socket.faulty = w.now+w.within(8*time.Second), true
		w.after(s.deafTo-w.now, s.wake)
		s.push()
		return
	case w.fault("client reset", w.plan.reset):
		s.hangUp("reset")
		return
	}
	s.listen()
	if s.socket == nil {
		return
	}
	if len(s.expected) == 0 && len(s.unsent) == 0 && !s.over {
		s.speak()
	}
	s.push()
}

// open connects when it is time and there is something to deliver.
func (s *sender) open() {
	w := s.w
	if len(s.letters) == 0 {
		return
	}
	if w.process == nil || w.now < s.nextTry {
		w.after(max(s.nextTry-w.now, 100*time.Millisecond), s.wake)
		return
	}
	s.turn++
	turn := s.turn
	s.socket, s.since = w.process.connect(s), w.now
	s.unsent, s.heard = nil, nil
	s.sent, s.said, s.last, s.over, s.refused = 0, 0, false, false, 0
	s.expected = append(s.expected[:0], expectation{to: "greeting", want: "220 "})
	s.proof = proof{}
	if header := w.header(s.socket.client); header != "" && s.socket.tap == nil {
		s.put(header)
		s.wake()
	}
	var watch func()
	watch = func() {
		if s.turn != turn || s.socket == nil || s.silent {
			return
		}
		if w.now-s.since > patience {
			s.settled("waited in vain")
			s.hangUp("gave up")
			return
		}
		w.after(time.Second, watch)
	}
	w.after(time.Second, watch)
	w.note("connect", s.n, len(s.letters))
}

// settled fails the world for an event that must not happen once all is well and
// everything that began before is over.
func (s *sender) settled(what string) {
	if s.w.calm && s.w.now > s.w.calmSince+time.Minute {
		s.w.fail("sender %d %s while all was well", s.n, what)
	}
}

// hangUp leaves without a word.
func (s *sender) hangUp(why string) {
	s.w.note(why, s.n, len(s.expected))
	if !s.socket.dead {
		s.socket.reset()
	}
	s.lose()
}

// lose drops the connection and tries again later.
func (s *sender) lose() {
	s.socket = nil
	s.nextTry = s.w.now + s.w.within(2*time.Second)
	s.w.after(s.nextTry-s.w.now, s.wake)
}

// say puts commands into the stream, with the replies that are due.
func (s *sender) say(command, want string, l *letter) {
	s.put(command)
	s.expected = append(s.expected, expectation{
		to: strings.TrimSpace(command[:min(len(command), 10)]), want: want, letter: l, end: s.said,
	})
}

// put adds to the stream what is sent, unless its end was decided on.
func (s *sender) put(text string) {
	s.said += len(text)
	if !s.last {
		s.unsent = append(s.unsent, text...)
	}
}

// speak goes on with the dialog when nothing is due.
func (s *sender) speak() {
	w := s.w
	if len(s.letters) == 0 {
		if w.chance(300) {
			s.say("QUIT\r\n", "221 2.0.0", nil)
		} else {
			s.hangUp("done")
		}
		return
	}
	if w.chance(60) {
		s.say("NOOP\r\n", "250 2.0.0 Ok\r", nil)
		s.say("VRFY x\r\n", "252 2.0.0", nil)
	}
	if !w.plan.auth || s.proven() {
		s.envelope()
	}
}

func (s *sender) envelope() {
	l := s.letters[0]
	l.tries++
	size := ""
	if l.declared > 0 {
		size = fmt.Sprintf(" SIZE=%d", l.declared)
	}
	s.say("MAIL FROM:<"+l.from+">"+size+"\r\n", "250 2.1.0", nil)
	l.to = l.to[:0]
	for range 1 + s.w.random.IntN(2) {
		to := fmt.Sprintf("to-%d-%d-%d-%d@example.net", s.n, l.n, l.tries, len(l.to))
		l.to = append(l.to, to)
		s.say("RCPT TO:<"+to+">\r\n", "250 2.1.5", nil)
	}
	if s.w.chance(100) {
		for range 1 + s.w.random.IntN(2*refusals) {
			s.outsider(l)
		}
	}
	s.say("DATA\r\n", "354 ", l)
	if w := s.w; w.fault("client impatient", w.plan.impatient) {
		s.text(l)
	}
}

// text sends a letter behind its 354, and now and then much behind its end.
func (s *sender) text(l *letter) {
	w := s.w
	s.put(stuffed(l.body))
	want := "250 2.0.0 Ok "
	if l.odd {
		want = "554 5.6.0 "
	}
	s.expected = append(s.expected, expectation{to: "final dot", want: want, letter: l, end: s.said})
	if w.chance(100) { // as Exim does behind its last message
		s.say("QUIT\r\n", "221 2.0.0", nil)
		s.last = true
		return
	}
	if w.chance(150) {
		for range w.random.IntN(w.plan.ahead) {
			s.say("VRFY "+filler[:450]+"\r\n", "252 2.0.0", nil)
			s.say("NOOP\r\n", "250 2.0.0 Ok\r", nil)
		}
	}
}

// push sends what the window takes.
func (s *sender) push() {
	w := s.w
	if s.socket == nil || len(s.unsent) == 0 || s.stillTo > w.now {
		return
	}
	if w.fault("client ends anywhere", w.plan.fin) {
		s.unsent, s.last = s.unsent[:w.random.IntN(len(s.unsent)+1)], true
	}
	if w.fault("client stalls", w.plan.stall) {
		s.stillTo = w.now + w.within(6*time.Second)
		w.after(s.stillTo-w.now, s.wake)
		return
	}
	n := len(s.unsent)
	if n > 0 && w.chance(300) {
		n = 1 + w.random.IntN(n)
	}
	if n > 0 {
		n = s.socket.send(s.unsent[:n])
		s.unsent, s.sent = s.unsent[n:], s.sent+n
	}
	switch {
	case len(s.unsent) == 0 && s.last && !s.over:
		w.note("half-close", s.n, len(s.expected))
		s.over = true
		s.socket.finish()
	case len(s.unsent) > 0:
		w.after(w.within(5*time.Millisecond)+time.Millisecond, s.wake)
	}
}

func (s *sender) helo() string { return fmt.Sprintf("c-%d.example.com", s.n) }

// behave ends what keeps a sender from getting on.
func (s *sender) behave() {
	s.deafTo, s.stillTo = 0, 0
	s.wake()
}

// leave has the sender do nothing more; its connection stays.
func (s *sender) leave() { s.silent = true }

func (s *sender) hello() { s.say("EHLO "+s.helo()+"\r\n", "250 ", nil) }

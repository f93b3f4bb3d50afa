package driver

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/pipeline"
)

// A client that sends on while its message is being stored is read no further:
// what was read is paid for, the rest stays in the kernel, and all of it is
// answered in its order when the message has its answer.
func TestPauseBehindFinalDot(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.hold = true
	s := w.connect()
	s.send(ehlo)
	s.hear()
	first := envelope + mailText + strings.Repeat("NOOP\r\n", pauseAbove/6+1)
	s.send(first)
	if !s.paused || w.seen.pauses["outcome"] != 1 {
		t.Fatalf("not paused: %v", w.seen.pauses)
	}
	if used, kept := w.shared.Budget.Used(), int64(len(s.in)); used < kept || kept == 0 {
		t.Errorf("%d octets of input are kept, %d of the budget are used", kept, used)
	}
	for range 1000 {
		s.send(strings.Repeat("NOOP\r\n", 10)) // to the kernel
	}
	s.hear()
	w.listener.Settings.Limits.JunkCommands = 1 << 14
	w.store.release()
	w.settle()
	if got, want := s.hear(), pauseAbove/6+1+10000; strings.Count(got, "250 2.0.0 Ok\r\n") != want || !strings.HasPrefix(got, "250 2.0.0 Ok 0") {
		t.Errorf("%d replies, want %d: %.100q", strings.Count(got, "250 2.0.0 Ok\r\n"), want, got)
	}
	s.gone()
	w.clean()
}

// Little input does not cost a pause.
func TestNoPauseForLittle(t *testing.T) {
	w := newWorld(t, testOptions())
	w.store.hold = true
	s := w.connect()
	s.send(ehlo + envelope + mailText + "NOOP\r\n")
	if s.paused {
		t.Error("paused")
	}
	w.store.release()
	w.settle()
	s.gone()
	w.clean()
}

// A message that outgrows its memory while there is none is read no further, and
// carries nothing that was read. When there is some it goes on.
func TestPauseInBody(t *testing.T) {
	for _, chunk := range []int{1000, 32 << 10} {
		t.Run(fmt.Sprint(chunk), func(t *testing.T) {
			o := testOptions()
			o.Budget = pipeline.NewBudget(1600 << 10)
			w := newWorld(t, o)
			s := w.connect()
			s.send(ehlo + envelope)
			taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
			w.shared.Budget.TryTake(taken)
			body := largeText(900<<10) + ".\r\n"
			rest := body
			for ; rest != "" && !s.paused; rest = rest[min(chunk, len(rest)):] {
				s.send(rest[:min(chunk, len(rest))])
			}
			if !s.paused || len(s.in) != 0 || w.seen.pauses["memory"] != 1 {
				t.Fatalf("paused: %v, %d octets unread, %v", s.paused, len(s.in), w.seen.pauses)
			}
			s.send(rest) // to the kernel
			w.advance(time.Minute)
			w.shared.Budget.Give(taken)
			w.settle()
			if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
				t.Fatalf("got %q", got)
			}
			if got := w.store.in[0]; got != strings.TrimSuffix(body, ".\r\n") {
				t.Errorf("stored %d octets, sent %d", len(got), len(body)-3)
			}
			s.gone()
			w.clean()
		})
	}
}

// One loop pauses a message a thousand times and loses nothing of it.
func TestThousandPauses(t *testing.T) {
	wanted := 1000
	if testing.Short() {
		wanted = 100
	}
	o := testOptions()
	w, store := partWorld(t, o)
	store.partSize = 4 << 10
	w.shared.takeParts(store)
	w.shared.Parts = pipeline.NewBudget(w.shared.partCredit) // one part at a time
	w.shared.partCredits = newCreditPool(w.shared.Parts, w.loop)
	w.listener.Settings.Limits.MessageSize = 200 << 20
	store.holdParts = true
	s := w.connect()
	s.send(ehlo + envelope)
	s.hear()
	var sent strings.Builder
	line := strings.Repeat(strings.Repeat("y", 998)+"\r\n", 30)
	for pauses := 0; pauses < wanted; {
		s.send(line)
		sent.WriteString(line)
		if s.paused {
			pauses++
			store.release()
			w.settle()
		}
	}
	store.holdParts = false
	store.release()
	w.settle()
	s.send(".\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok") {
		t.Fatalf("got %q", got)
	}
	for _, stored := range store.stored {
		if stored != sent.String() {
			t.Errorf("stored %d octets, sent %d", len(stored), sent.Len())
		}
	}
	s.gone()
	w.cleanParts(store)
}

// A pause at every byte of the end of a message.
func TestPauseInTerminator(t *testing.T) {
	const end = "last\r\n.\r\nQUIT\r\n"
	for cut := range len(end) {
		o := testOptions()
		o.Budget = pipeline.NewBudget(1200 << 10)
		w := newWorld(t, o)
		s := w.connect()
		s.send(ehlo + envelope)
		taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
		w.shared.Budget.TryTake(taken)
		body := largeText(int(w.shared.Budget.Used()-taken) - readAhead + 1000)
		s.send(body + end[:cut])
		if cut < len("last\r\n.\r\n") && !s.paused {
			t.Fatalf("cut at %d: not paused", cut)
		}
		s.send(end[cut:])
		w.shared.Budget.Give(taken)
		w.settle()
		if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") || !strings.HasSuffix(got, "221 2.0.0 mx1.example.net Bye\r\n") {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		if got := w.store.in[0]; got != body+"last\r\n" {
			t.Errorf("cut at %d: stored %d octets", cut, len(got))
		}
		w.clean()
	}
}

// What may happen to a message that waits for memory.
func TestPausedInBody(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(w *world, s *memorySocket)
		want    string
	}{
		"the deadline of the wait": {func(w *world, s *memorySocket) {
			w.advance(testTimeouts().Credit + time.Second)
			s.send(".\r\n")
		}, "452 4.3.1"},
		"the peer is reset": {func(w *world, s *memorySocket) {
			s.gone()
			w.advance(testTimeouts().Credit + time.Second)
		}, ""},
		"the peer is reset and there is memory": {func(w *world, s *memorySocket) {
			s.gone()
			w.shared.Budget.Give(w.shared.Budget.Used() - s.conn.session.Message().Memory.Credit)
			w.settle()
		}, ""},
		"SIGTERM": {func(w *world, s *memorySocket) {
			w.shared.Refuse()
			w.advance(time.Second)
			w.shared.Budget.Give(w.shared.Budget.Used() - s.conn.session.Message().Memory.Credit)
			w.settle()
			s.send(".\r\n")
		}, "250 2.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testOptions())
			s := w.connect()
			s.send(ehlo + envelope)
			taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
			w.shared.Budget.TryTake(taken)
			s.hear()
			s.send(largeText(300 << 10))
			if !s.paused {
				t.Fatal("not paused")
			}
			test.happens(w, s)
			if got := s.hear(); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %s", got, test.want)
			}
			s.gone()
			w.advance(time.Second) // the request returns
			if used := w.shared.Budget.Used(); used > 0 {
				w.shared.Budget.Give(taken)
			}
			w.clean()
		})
	}
}

// When no duplicate descriptor can be had, a body is dropped as it comes and
// answered 452, and a session that has sent ahead ends.
func TestPauseFails(t *testing.T) {
	t.Run("body", func(t *testing.T) {
		w := newWorld(t, testOptions())
		s := w.connect()
		s.send(ehlo + envelope)
		taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
		w.shared.Budget.TryTake(taken)
		s.noPause = syscall.EMFILE
		s.hear()
		s.send(largeText(300<<10) + ".\r\n")
		if got := s.hear(); !strings.HasPrefix(got, "452 4.3.1") || len(s.in) != 0 {
			t.Errorf("got %q, %d octets unread", got, len(s.in))
		}
		w.shared.Budget.Give(taken)
		w.advance(time.Second)
		s.send("QUIT\r\n")
		w.clean()
	})
	for name, test := range map[string]struct {
		err    error
		memory bool
		want   string
	}{
		"behind the final dot, no descriptor": {syscall.EMFILE, true, "421 4.3.1"},
		"behind the final dot, no memory":     {nil, false, "421 4.7.0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, testOptions())
			w.store.hold = true
			s := w.connect()
			s.send(ehlo + envelope)
			s.hear()
			s.send(mailText)
			taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
			if !test.memory {
				w.shared.Budget.TryTake(taken)
			}
			s.noPause = test.err
			s.send(strings.Repeat("NOOP\r\n", 8000))
			if got := s.hear(); !strings.HasPrefix(got, test.want) || !s.half || len(s.in) != 0 {
				t.Errorf("got %q, %d octets unread", got, len(s.in))
			}
			if !errors.Is(w.seen.refusals[len(w.seen.refusals)-1].Err, test.err) {
				t.Errorf("logged %v", w.seen.refusals)
			}
			if !test.memory {
				w.shared.Budget.Give(taken)
			}
			s.gone()
			w.store.release()
			w.settle()
			w.clean()
			if len(w.log.events) != 0 || w.seen.late["store ok"] != 1 {
				t.Errorf("events %v, late %v", w.log.events, w.seen.late)
			}
		})
	}
}

// A client that pipelines and does not read is not read either; when it reads
// after all it gets every reply in order.
func TestPauseForUnreadReplies(t *testing.T) {
	w := newWorld(t, testOptions())
	w.listener.Settings.Limits.JunkCommands = 1 << 14
	s := w.connect()
	s.send(ehlo)
	s.hear()
	s.room = 1000
	var want strings.Builder
	for i := range 10000 {
		verb, reply := "NOOP\r\n", "250 2.0.0 Ok\r\n"
		if i%3 == 0 {
			verb, reply = "VRFY x\r\n", "252 2.0.0 Users are not verified here\r\n"
		}
		s.send(verb)
		want.WriteString(reply)
	}
	if !s.paused || w.seen.pauses["client"] == 0 {
		t.Fatalf("not paused: %v", w.seen.pauses)
	}
	if kept := len(s.in) + len(s.conn.unsentBytes()); kept > 64<<10 {
		t.Errorf("%d octets are kept", kept)
	}
	s.room = -1
	w.advance(10 * tickLength)
	if got := s.hear(); got != want.String() {
		t.Errorf("%d octets of replies, want %d", len(got), want.Len())
	}
	s.gone()
	w.clean()
}

// Of many messages that wait for memory which they hold themselves, the first is finished
// at the cost of others.
func TestFirstFinishes(t *testing.T) {
	o := testOptions()
	o.Budget = pipeline.NewBudget(8 * guessed)
	w := newWorld(t, o)
	var all []*memorySocket
	for range 8 {
		s := w.connect()
		s.send(ehlo + envelope)
		s.hear()
		all = append(all, s)
		w.advance(tickLength) // they differ in age
	}
	for range 7 { // all get on
		for _, s := range all {
			s.send(largeText(100 << 10))
		}
	}
	for i, s := range all {
		if !s.paused {
			t.Fatalf("the number %d is not paused", i)
		}
		s.send(".\r\n") // to the kernel
	}
	w.advance(testTimeouts().Credit)
	answers := ""
	for _, s := range all {
		answers += s.hear()[:3] + " "
		s.send("QUIT\r\n")
	}
	if strings.Count(answers, "250") < 2 || !strings.Contains(answers, "452") {
		t.Errorf("oldest to youngest: %s", answers)
	}
	w.clean()
}

// The memory that a message of unknown size gets before its 354.
const guessed = 260 << 10

func TestSlowClientIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		every  time.Duration
		octets int
		cut    bool
	}{
		"an octet every 5 s":   {5 * time.Second, 1, true},
		"a line every 30 s":    {30 * time.Second, 100, true},
		"just below the rate":  {time.Second, 499, true},
		"just above the rate":  {time.Second, 501, false},
		"in pieces, in time":   {20 * time.Second, 11000, false},
		"nothing but the dots": {time.Second, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.MinDataRate = 500
			w := newWorld(t, o)
			s := w.connect()
			s.send(ehlo + envelope)
			s.hear()
			began := w.now
			for w.now.Sub(began) < 4*time.Minute && !s.half {
				s.send(strings.Repeat("x", test.octets))
				w.advance(test.every)
			}
			took := w.now.Sub(began)
			if got := s.hear(); s.half != test.cut || test.cut && (!strings.HasPrefix(got, "421 4.4.2") || took > rateWindow+2*test.every+time.Second) {
				t.Errorf("cut: %v after %v: %q", s.half, took, got)
			}
			s.gone()
			w.clean()
		})
	}
}

// The time that a message waits for memory is not held against its client.
func TestSlowBecauseOfUs(t *testing.T) {
	o := testOptions()
	o.MinDataRate = 500
	w := newWorld(t, o)
	s := w.connect()
	s.send(ehlo + envelope)
	taken := w.shared.Budget.Limit() - w.shared.Budget.Used()
	w.shared.Budget.TryTake(taken)
	s.hear()
	s.send(largeText(300 << 10))
	w.advance(80 * time.Second)
	w.shared.Budget.Give(taken)
	w.advance(40 * time.Second)
	s.send(strings.Repeat("x", 40000) + "\r\n.\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok") {
		t.Errorf("got %q", got)
	}
	s.gone()
	w.clean()
}

// TestOutgrownMessageDoesNotWait checks that a message longer than its SIZE is refused
// while others wait for memory, and that its text is read. One that keeps to it waits.
func TestOutgrownMessageDoesNotWait(t *testing.T) {
	for size, refused := range map[string]bool{" SIZE=100": true, "": false} {
		o := testOptions()
		o.Budget = pipeline.NewBudget(8 << 20)
		w := newWorld(t, o)
		other, s := w.connect(), w.connect()
		other.send(ehlo + envelope)
		s.send(ehlo + "MAIL FROM:<a@example.com>" + size + "\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
		s.hear()
		rest := o.Budget.Limit() - o.Budget.Used() - 100<<10 // less than a message asks for
		if !o.Budget.TryTake(rest) {
			t.Fatal("no rest")
		}
		text := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 30) // as a reactor reads at a time
		for !other.paused {
			other.send(text)
		}
		for range 10 {
			s.send(text)
		}
		if s.paused == refused {
			t.Errorf("MAIL%s: paused %v", size, s.paused)
		}
		o.Budget.Give(rest)
		w.settle()
		s.send("\r\n.\r\n")
		if got := s.hear(); strings.HasPrefix(got, "452 4.3.1") != refused || strings.HasPrefix(got, "250 2.0.0") == refused {
			t.Errorf("MAIL%s: %q", size, got)
		}
		other.gone()
		s.send("QUIT\r\n")
		w.clean()
	}
}

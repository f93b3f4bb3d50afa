package driver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// reliefWorld is a world with a budget for bodies and messages of up to 50 MiB.
func reliefWorld(t *testing.T, budget int64) *world {
	return newWorld(t, reliefOptions(testOptions(), budget))
}

// reliefOptions returns options with little memory for large messages.
func reliefOptions(o options, budget int64) options {
	o.Budget = pipeline.NewBudget(budget)
	limits := testLimits()
	limits.MessageSize, limits.Recipients = 50<<20, 1000
	o.Settings = session.NewSettings("mx1.example.net", limits, session.AcceptAny())
	return o
}

// begin opens a session and brings it to its 354. declared 0 declares nothing.
func (w *world) begin(declared int64) *memorySocket {
	s := w.connect()
	size := ""
	if declared > 0 {
		size = fmt.Sprintf(" SIZE=%d", declared)
	}
	s.send(ehlo + "MAIL FROM:<a@example.com>" + size + "\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	return s
}

// end sends the final dot and returns the last reply.
func (s *memorySocket) end() string {
	s.hear()
	s.send(".\r\n")
	s.w.settle()
	return s.hear()
}

// goesOn has sessions send some text each second for a while.
func (w *world) goesOn(span time.Duration, each int, all ...*memorySocket) {
	for ; span > 0; span -= time.Second {
		for _, s := range all {
			s.send(largeText(each))
		}
		w.advance(time.Second)
	}
}

// Four messages of a declared 50 MiB take no more before 354 than others.
func TestDeclaredSizeHoldsNothing(t *testing.T) {
	w := reliefWorld(t, 256<<20)
	var all []*memorySocket
	for range 4 {
		s := w.begin(50 << 20)
		if got := s.hear(); !strings.Contains(got, "354 ") {
			t.Fatalf("got %q", got)
		}
		all = append(all, s)
	}
	if used := w.shared.Budget.Used(); used > 4*guessed {
		t.Errorf("%d octets are held for what was declared", used)
	}
	if booked := w.shared.Budget.Booked(); booked < 195<<20 {
		t.Errorf("%d octets are booked", booked)
	}
	small, large := w.begin(10<<10), w.begin(50<<20)
	if got := small.hear(); !strings.Contains(got, "354 ") {
		t.Errorf("a small mail: %q", got)
	}
	if got := large.hear(); strings.Contains(got, "354 ") {
		t.Errorf("a large one beside four that are expected to fill the budget: %q", got)
	}
	w.goesOn(5*time.Second, 600, all...) // who crawls is not expected to need much soon
	if got := large.hear(); !strings.Contains(got, "354 ") {
		t.Errorf("a large one beside four that crawl: %q", got)
	}
	for _, s := range append(all, small, large) {
		s.gone()
	}
	w.clean()
}

// Whoever holds most for each byte of progress gives way to others, once memory is short.
func TestSlowestGivesWay(t *testing.T) {
	w := reliefWorld(t, 10<<20)
	crawls, walks := w.begin(0), w.begin(0)
	for _, s := range []*memorySocket{crawls, walks} {
		s.send(largeText(3 << 20))
	}
	w.goesOn(2*time.Minute, 600, crawls)
	w.goesOn(10*time.Second, 100<<10, walks)
	if used := w.shared.Budget.Used(); used < 7<<20 {
		t.Fatalf("%d octets are held while there is enough", used)
	}
	runs := w.begin(0)
	for range 8 {
		w.goesOn(time.Second, 200<<10, walks, runs)
		crawls.send("a line now and then\r\n")
	}
	if got := crawls.end(); !strings.HasPrefix(got, "452 4.3.1") {
		t.Errorf("who crawls: %q", got)
	}
	for name, s := range map[string]*memorySocket{"who walks": walks, "who runs": runs} {
		if got := s.end(); !strings.HasPrefix(got, "250 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if w.seen.relieved["body"] != 1 {
		t.Errorf("relieved: %v", w.seen.relieved)
	}
	for _, s := range []*memorySocket{crawls, walks, runs} {
		s.gone()
	}
	w.clean()
}

// Credit that a message does not need comes back when memory is short.
func TestSpareCreditComesBack(t *testing.T) {
	w := reliefWorld(t, 3<<20)
	var idle []*memorySocket
	for range 10 {
		idle = append(idle, w.begin(0))
	}
	before := w.shared.Budget.Used()
	w.advance(1500 * time.Millisecond)
	if used := w.shared.Budget.Used(); used > before/5 {
		t.Errorf("%d octets of %d are still held for nothing", used, before)
	}
	for i, s := range idle {
		s.hear()
		s.send(largeText(200 << 10))
		if got := s.end(); !strings.HasPrefix(got, "250 ") {
			t.Errorf("the number %d: %q", i, got)
		}
		s.gone()
	}
	w.clean()
}

// A long envelope that does not come to DATA ends: after a time, and soon when memory is
// short.
func TestLongEnvelopesEnd(t *testing.T) {
	rcpt := "RCPT TO:<" + strings.Repeat("u", 60) + "@" + strings.Repeat("d.", 90) + "example.net>\r\n"
	open := func(w *world) *memorySocket {
		s := w.connect()
		s.send(ehlo + "MAIL FROM:<a@example.com>\r\n")
		for range 100 {
			s.send(strings.Repeat(rcpt, 5))
			s.hear()
		}
		return s
	}
	w := reliefWorld(t, 10<<20)
	s := open(w)
	for range 9 {
		w.advance(time.Minute)
		s.send("NOOP\r\n")
	}
	if got := s.hear(); s.closed || !strings.HasPrefix(got, "250 ") {
		t.Fatalf("after nine minutes: %q", got)
	}
	w.advance(62 * time.Second)
	if got := s.hear(); !strings.Contains(got, "421 4.4.2") {
		t.Errorf("after ten minutes: %q", got)
	}
	s.gone()
	w.clean()

	w = reliefWorld(t, 4<<20)
	var all []*memorySocket
	for range 20 {
		all = append(all, open(w))
	}
	small := w.begin(0)
	if got := small.hear(); !strings.Contains(got, "354 ") {
		t.Errorf("a mail beside long envelopes: %q", got)
	}
	small.gone()
	w.advance(30 * time.Second)
	if used := w.shared.Budget.Used(); used > 3<<20+100<<10 {
		t.Errorf("idle envelopes hold %d octets", used)
	}
	if w.seen.relieved["envelope"] == 0 {
		t.Errorf("relieved: %v", w.seen.relieved)
	}
	for _, s := range all {
		s.gone()
	}
	w.clean()
}

// Messages that crawl behind their first part do not keep others from theirs.
func TestPartsAreRelieved(t *testing.T) {
	o := testOptions()
	w, store := partWorld(t, o)
	w.shared.Parts = pipeline.NewBudget(4 * w.shared.partCredit)
	w.shared.partCredits = newCreditPool(w.shared.Parts, w.loop)
	var slow []*memorySocket
	for range 4 {
		s := w.begin(0)
		s.send(largeText(3 * testPartSize / 2))
		slow = append(slow, s)
	}
	if used := w.shared.Budget.Used(); used > 4*pipeline.SlabBytes(testPartSize) {
		t.Errorf("four full first parts hold %d octets", used)
	}
	w.goesOn(20*time.Second, 600, slow...)
	large := w.begin(0)
	large.send(largeText(5 * testPartSize))
	if !large.paused {
		t.Fatal("there was a part for it")
	}
	w.goesOn(10*time.Second, 600, slow...)
	if got := large.end(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("got %q", got)
	}
	if n := w.seen.relieved["body"]; n != 1 {
		t.Errorf("%d gave way to one", n)
	}
	for _, s := range append(slow, large) {
		s.gone()
	}
	w.cleanParts(store)
}

// A message that crawls with less than three quarters of the budget gives way once nobody
// else can begin.
func TestNobodyKeepsAllFromBeginning(t *testing.T) {
	w := reliefWorld(t, 720<<10)
	crawls := w.begin(0)
	crawls.send(largeText(450 << 10))
	w.goesOn(10*time.Second, 60, crawls)
	if used, limit := w.shared.Budget.Used(), w.shared.Budget.Limit(); used > limit*3/4 || used < limit-firstGrowth {
		t.Fatalf("%d of %d octets are held", used, limit)
	}
	begins := w.begin(0)
	if got := begins.hear(); strings.Contains(got, "354 ") {
		t.Fatalf("there was room: %q", got)
	}
	w.goesOn(20*time.Second, 60, crawls)
	if got := begins.hear(); !strings.Contains(got, "354 ") {
		t.Errorf("after 20 s: %q", got)
	}
	if got := crawls.end(); !strings.HasPrefix(got, "452 4.3.1") {
		t.Errorf("who crawls: %q", got)
	}
	for _, s := range []*memorySocket{crawls, begins} {
		s.gone()
	}
	w.clean()
}

// A message whose text is refused holds its envelope until its end, and gives way with it.
func TestRefusedTextGivesItsEnvelopeUp(t *testing.T) {
	w := reliefWorld(t, 4<<20)
	var all []*memorySocket
	for range 20 {
		s := w.connect()
		s.send(longEnvelope)
		s.send("a\nbare line feed\r\n")
		all = append(all, s)
	}
	if used := w.shared.Budget.Used(); used < 3<<20+100<<10 {
		t.Fatalf("%d octets are held", used)
	}
	w.goesOn(30*time.Second, 600, all...)
	if used := w.shared.Budget.Used(); used > 3<<20+100<<10 {
		t.Errorf("refused texts that drip hold %d octets", used)
	}
	for _, s := range all {
		s.gone()
	}
	w.clean()
}

// A large message on a slow line passes while there is enough memory for others.
func TestSlowLargeMessagePasses(t *testing.T) {
	w := reliefWorld(t, 8<<20)
	slow := w.begin(5 << 20)
	for range 250 {
		slow.send(bulkText[:20<<10-2] + "\r\n")
		small := w.begin(1000)
		small.send(mailText)
		if got := small.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
			t.Fatalf("beside it: %q", got)
		}
		small.gone()
		w.advance(time.Second)
	}
	if got := slow.end(); !strings.HasPrefix(got, "250 ") {
		t.Errorf("got %q", got)
	}
	slow.gone()
	w.clean()
}

// A message that has memory for what its sender declared does not wait for more.
func TestDeclaredMessageDoesNotWait(t *testing.T) {
	for _, size := range []int{4093, 4096, 10000, 20477, 20480, 30000} {
		w := reliefWorld(t, 2<<20)
		s := w.begin(int64(size))
		w.shared.Budget.TryTake(w.shared.Budget.Limit() - w.shared.Budget.Used())
		text := largeText(size)
		s.send(text[:size/2])
		s.send(text[size/2:])
		if s.paused {
			t.Errorf("%d octets: it waits", size)
		}
		if got := s.end(); !strings.HasPrefix(got, "250 ") {
			t.Errorf("%d octets: %q", size, got)
		}
		s.gone()
		w.shared.Budget.Give(w.shared.Budget.Used())
		w.clean()
	}
}

// TestVerdictsAreNotWaitedForWhileMemoryIsShort has mail wait for verdicts that do not come.
// It holds what others need for a second or two, and goes on without.
func TestVerdictsAreNotWaitedForWhileMemoryIsShort(t *testing.T) {
	o, v := verifyOptions()
	w := newWorld(t, reliefOptions(o, 10<<20))
	v.hold[pipeline.PieceEnd] = true
	patient := w.connect()
	patient.send(ehlo + envelope + forgedText + ".\r\n")
	patient.hear()
	w.advance(3 * shortVerdict)
	if v.overdue != 0 {
		t.Fatal("a verdict is not waited for while there is memory")
	}
	var all []*memorySocket
	for range 2 {
		s := w.connect()
		s.send(ehlo + envelope + forgedText + largeText(4<<20) + ".\r\n")
		s.hear()
		all = append(all, s)
	}
	other := w.connect()
	other.send(ehlo + envelope + forgedText + largeText(4<<20) + ".\r\n")
	other.hear()
	w.advance(3 * shortVerdict)
	w.settle()
	for i, s := range append(all, patient) {
		if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok") {
			t.Errorf("message %d, after %v of %v: %q", i, 3*shortVerdict, verdictTime, got)
		}
	}
	if w.seen.relieved["verdict"] != 3 || v.overdue != 3 {
		t.Errorf("relieved: %v, %d overdue", w.seen.relieved, v.overdue)
	}
	v.release()
	w.settle()
	for _, s := range append(all, patient, other) {
		s.gone()
	}
	v.release()
	w.settle()
	w.clean()
}

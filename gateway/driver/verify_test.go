package driver

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// scriptedVerifier is a pipeline.Verifier that keeps what it is told.
type scriptedVerifier struct {
	hold [pipeline.PieceEnd + 1]bool // kinds of pieces that are not answered
	held []*pipeline.Piece
	// disorder answers pieces although earlier ones are held.
	disorder bool
	err      [pipeline.PieceEnd + 1]error
	refusal  error
	begun    []*verification
	overdue  int
}

// verification is what is known of one message.
type verification struct {
	client, helo, from string
	kinds              string // h, t and e: the pieces, in order
	text               string // all of it
	tooLong            bool
	out                int
	dropped, judged    bool
}

const (
	verdictField = "Authentication-Results: mx1.example.net; spf=pass\r\n"
	overdueField = "Authentication-Results: mx1.example.net; spf=temperror\r\n"
	forgedField  = "authentication-RESULTS: mx1.example.net; dmarc=pass\r\n"
	renamedField = "X-Spoofed-Auth-Results: mx1.example.net; dmarc=pass\r\n"
)

func (v *scriptedVerifier) Begin(m *pipeline.Message) any {
	s := &verification{client: m.Client.Address.String(), helo: m.Client.Helo, from: string(m.Envelope.ReversePath())}
	v.begun = append(v.begun, s)
	return s
}

func (v *scriptedVerifier) Read(p *pipeline.Piece) {
	s := p.State.(*verification)
	if s.dropped || strings.HasSuffix(s.kinds, "e") {
		panic("a piece behind the end")
	}
	s.kinds += string("hte"[p.Kind])
	s.out++
	if v.hold[p.Kind] || s.out > 1 && !v.disorder {
		v.held = append(v.held, p)
		return
	}
	v.answer(p)
}

func (v *scriptedVerifier) answer(p *pipeline.Piece) {
	s := p.State.(*verification)
	s.out--
	text := string(bytes.Join(p.Chunks, nil))
	s.text += text
	p.Err = v.err[p.Kind]
	switch p.Kind {
	case pipeline.PieceHeader:
		s.tooLong = p.TooLong
		for from := 0; ; {
			n := strings.Index(strings.ToLower(text[from:]), "authentication-results: mx1.example.net")
			if n < 0 {
				break
			}
			p.Forged = append(p.Forged, from+n)
			from += n + 1
		}
	case pipeline.PieceEnd:
		s.judged = true
		p.Verdict = pipeline.Verdict{Field: []byte(verdictField), Name: "client.example.com", Verdicts: &pipeline.Verdicts{}, Refusal: v.refusal}
	}
	p.Done()
}

func (v *scriptedVerifier) Drop(state any) {
	s := state.(*verification)
	if s.dropped {
		panic("dropped twice")
	}
	s.dropped = true
}

func (v *scriptedVerifier) Overdue() pipeline.Verdict {
	v.overdue++
	return pipeline.Verdict{Field: []byte(overdueField), Verdicts: &pipeline.Verdicts{}}
}

// will has verdicts be what a transcript says.
func (v *scriptedVerifier) will(be string) error {
	refusals := map[string]*pipeline.Failure{
		"dmarc":      {Kind: pipeline.KindDMARC, Told: "example.com"},
		"spf":        {Kind: pipeline.KindSPF},
		"spf_error":  {Kind: pipeline.KindSPFError},
		"unverified": {Kind: pipeline.KindUnverified},
	}
	v.refusal, v.hold[pipeline.PieceEnd] = nil, be == "late"
	switch f := refusals[be]; {
	case f != nil:
		v.refusal = f
	case be != "late" && be != "pass":
		return fmt.Errorf("no verdict is %q", be)
	}
	return nil
}

// release answers what is held, and everything from now on.
func (v *scriptedVerifier) release() {
	held := v.held
	v.held, v.hold = nil, [pipeline.PieceEnd + 1]bool{}
	for _, p := range held {
		v.answer(p)
	}
}

// clean asserts that each verification has come to its end.
func (v *scriptedVerifier) clean(t testing.TB) {
	t.Helper()
	for _, s := range v.begun {
		if s.out != 0 || !s.dropped && !s.judged {
			t.Errorf("a verification is left: %d pieces are out, judged: %v, dropped: %v", s.out, s.judged, s.dropped)
		}
	}
}

const verdictTime = 10 * time.Second

func verifyOptions() (options, *scriptedVerifier) {
	v := &scriptedVerifier{}
	o := testOptions()
	o.Verifier, o.Generation.Verdict = v, verdictTime
	return o, v
}

func verifyWorld(t testing.TB) (*world, *scriptedVerifier) {
	o, v := verifyOptions()
	return newWorld(t, o), v
}

func verifyPartWorld(t *testing.T) (*world, *partStore, *scriptedVerifier) {
	o, v := verifyOptions()
	w, s := partWorld(t, o)
	return w, s, v
}

const forgedText = "Subject: a\r\n" + forgedField + "\r\ntext\r\n"

var renamedText = strings.Replace(forgedText, forgedField, renamedField, 1)

func TestVerdictStandsOnTop(t *testing.T) {
	for _, chunk := range []int{1, 7, 1 << 20} {
		w, v := verifyWorld(t)
		s := w.connect()
		s.send(ehlo + envelope)
		for rest := forgedText + ".\r\n"; rest != ""; {
			n := min(chunk, len(rest))
			s.send(rest[:n])
			rest = rest[n:]
		}
		if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
			t.Fatalf("got %q", got)
		}
		one := v.begun[0]
		if one.text != forgedText || one.kinds != "hte" || one.dropped {
			t.Errorf("verified were the pieces %q of %q, dropped: %v", one.kinds, one.text, one.dropped)
		}
		if one.client != "192.0.2.1:4711" || one.helo != "client.example.com" || one.from != "a@example.com" {
			t.Errorf("verified was mail of %+v", one)
		}
		put := string(w.store.puts[0])
		if !strings.HasPrefix(put, verdictField+"Received: from client.example.com (client.example.com [192.0.2.1])\r\n") ||
			!strings.HasSuffix(put, renamedText) {
			t.Errorf("stored was %q", put)
		}
		s.gone()
		w.clean()
		v.clean(t)
	}
}

// TestVerifiedInParts: the verifier reads all of the text as it came, and the store gets
// nothing before the header was read.
func TestVerifiedInParts(t *testing.T) {
	for _, size := range []int{10, testPartSize - 1, testPartSize, testPartSize + 20, 2 * testPartSize, 5*testPartSize + 12345} {
		for _, hold := range []string{"", "h", "t", "e", "hte"} {
			w, store, v := verifyPartWorld(t)
			for i, kind := range "hte" {
				v.hold[i] = strings.ContainsRune(hold, kind)
			}
			s := w.connect()
			s.send(ehlo + envelope)
			text := forgedText + largeText(size)
			s.send(text + ".\r\n")
			if n := len(store.uploads); hold != "" && hold[0] == 'h' && (n > 0 || len(store.stored) > 0) {
				t.Errorf("%d bytes, held %q: the store has something", size, hold)
			}
			v.release()
			w.settle()
			if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
				t.Fatalf("%d bytes, held %q: %q", size, hold, got)
			}
			want := strings.Replace(text, forgedText, renamedText, 1)
			for _, stored := range store.stored {
				if stored != want {
					t.Errorf("%d bytes, held %q: %d stored bytes differ", size, hold, len(stored))
				}
			}
			if got := v.begun[0].text; got != text {
				t.Errorf("%d bytes, held %q: verified were %d other bytes", size, hold, len(got))
			}
			s.gone()
			w.cleanParts(store)
			v.clean(t)
		}
	}
}

// TestPartHasTwoReaders: its memory comes back when both are done with it.
func TestPartHasTwoReaders(t *testing.T) {
	for _, first := range []string{"store", "verifier"} {
		w, store, v := verifyPartWorld(t)
		store.holdParts, v.hold[pipeline.PieceText] = true, true
		s := w.connect()
		s.send(ehlo + envelope)
		s.send(forgedText + largeText(3*testPartSize))
		before := w.shared.Parts.Used()
		if out := w.shared.partsOut.Load(); out != w.shared.partCredit {
			t.Fatalf("%d bytes of parts are out", out)
		}
		done := []func(){store.release, v.release}
		if first == "verifier" {
			done[0], done[1] = done[1], done[0]
		}
		done[0]()
		w.settle()
		if after := w.shared.Parts.Used(); after != before {
			t.Errorf("the %s is done, and of %d bytes of parts %d are left", first, before, after)
		}
		done[1]()
		w.settle()
		if after := w.shared.Parts.Used(); after != before-w.shared.partCredit {
			t.Errorf("both are done, and of %d bytes of parts %d are left", before, after)
		}
		s.gone()
		w.cleanParts(store)
		v.clean(t)
	}
}

// TestVerdictOverdue: mail whose verdict is late goes on, and its memory comes back with
// the last piece.
func TestVerdictOverdue(t *testing.T) {
	for _, size := range []int{10, 3 * testPartSize} {
		for _, comes := range []string{"in the store", "in the log", "after the answer", "when the client is gone"} {
			w, store, v := verifyPartWorld(t)
			v.hold[pipeline.PieceText], v.hold[pipeline.PieceEnd] = true, true
			store.hold, w.log.hold = comes == "in the store", comes == "in the log"
			s := w.connect()
			s.send(ehlo + envelope + forgedText + largeText(size) + ".\r\n")
			s.hear()
			w.advance(verdictTime - time.Second)
			if got := s.hear(); got != "" || len(store.puts) != 0 {
				t.Fatalf("answered early: %q", got)
			}
			w.advance(2 * time.Second)
			if got := s.hear(); strings.HasPrefix(got, "250 2.0.0 Ok") != (!store.hold && !w.log.hold) {
				t.Errorf("%s: got %q", comes, got)
			}
			if comes == "when the client is gone" {
				s.gone()
			}
			if w.shared.Budget.Used() == 0 {
				t.Errorf("%s: the memory came back before the verifier was done", comes)
			}
			v.release()
			w.settle()
			store.scriptedStore.release()
			w.settle()
			w.log.release()
			w.settle()
			if len(store.puts) != 1 || !bytes.HasPrefix(store.puts[0], []byte(overdueField)) || bytes.Contains(store.puts[0], []byte(forgedField)) {
				t.Errorf("%s: stored was %.200q", comes, store.puts)
			}
			if v.overdue != 1 || w.seen.late["verify ok"] != 1 || !v.begun[0].dropped {
				t.Errorf("%s: %d overdue, late: %v", comes, v.overdue, w.seen.late)
			}
			s.gone()
			w.cleanParts(store)
			v.clean(t)
		}
	}
}

// TestHeaderUnread: mail whose header nobody has read is not stored.
func TestHeaderUnread(t *testing.T) {
	for _, size := range []int{10, 3 * testPartSize} {
		for _, fails := range []bool{false, true} {
			w, store, v := verifyPartWorld(t)
			want := "451 4.3.0"
			if fails {
				v.err[pipeline.PieceHeader], want = errScripted, "451 4.7.0"
			} else {
				v.hold[pipeline.PieceHeader] = true
			}
			s := w.connect()
			s.send(ehlo + envelope + forgedText + largeText(size) + ".\r\n")
			w.advance(verdictTime + time.Second)
			if got := s.hear(); !strings.Contains(got, "354") || !strings.Contains(got, want) {
				t.Errorf("%d bytes: got %q", size, got)
			}
			if len(store.puts) != 0 || len(store.uploads) != 0 || len(w.log.events) != 0 {
				t.Errorf("%d bytes: something was stored", size)
			}
			v.release()
			w.settle()
			s.gone()
			w.cleanParts(store)
			v.clean(t)
		}
	}
}

// TestStoreHasItsOwnTime: once the header was read, parts may take longer than a verdict.
func TestStoreHasItsOwnTime(t *testing.T) {
	w, store, v := verifyPartWorld(t)
	v.hold[pipeline.PieceHeader], store.holdParts = true, true
	s := w.connect()
	s.send(ehlo + envelope + forgedText + largeText(3*testPartSize) + ".\r\n")
	s.hear()
	w.advance(time.Second)
	v.release()
	w.settle()
	w.advance(2 * verdictTime)
	store.release()
	w.settle()
	if got := s.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok") {
		t.Errorf("got %q", got)
	}
	s.gone()
	w.cleanParts(store)
	v.clean(t)
}

func TestVerdictRefuses(t *testing.T) {
	for kind, want := range map[pipeline.Kind]string{
		pipeline.KindDMARC:      "550 5.7.1 Mail refused by the DMARC policy of the author's domain example.com\r\n",
		pipeline.KindSPF:        "550 5.7.23 ",
		pipeline.KindSPFError:   "451 4.7.24 ",
		pipeline.KindUnverified: "451 4.7.0 ",
		pipeline.KindPolicy:     "550 5.7.1 ",
	} {
		for _, size := range []int{10, 3 * testPartSize} {
			for _, hold := range []bool{false, true} { // its parts
				w, store, v := verifyPartWorld(t)
				f := &pipeline.Failure{Kind: kind, Op: "verify", Err: errScripted}
				if kind == pipeline.KindDMARC {
					f.Told = "example.com"
				}
				v.refusal, store.holdParts = f, hold
				s := w.connect()
				s.send(ehlo + envelope)
				s.hear()
				s.send(forgedText + largeText(size) + ".\r\n")
				store.release()
				w.settle()
				if got := s.hear(); !strings.HasPrefix(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if len(store.puts) != 0 || len(w.log.events) != 0 {
					t.Errorf("%v: stored or published", kind)
				}
				if len(w.seen.refusals) != 1 || !errors.Is(w.seen.refusals[0].Err, f) || w.seen.replies[w.seen.refusals[0].Cause] != 1 {
					t.Errorf("%v: logged %+v", kind, w.seen.refusals)
				}
				v.refusal = nil
				s.send(envelope + forgedText + ".\r\n")
				if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok") {
					t.Errorf("behind %v: %q", kind, got)
				}
				s.gone()
				w.cleanParts(store)
				v.clean(t)
			}
		}
	}
}

// TestVerificationEndsEarly: whatever ends a transaction ends its verification, and leaves
// nothing.
func TestVerificationEndsEarly(t *testing.T) {
	for _, rest := range []string{"RSET\r\n", "EHLO again\r\n", "QUIT\r\n", "MAIL FROM:<b@example.com>\r\nRSET\r\n"} {
		w, v := verifyWorld(t)
		s := w.connect()
		s.send(ehlo + "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n" + rest)
		if len(v.begun) != 1 || !v.begun[0].dropped {
			t.Errorf("%q does not end a verification", rest)
		}
		s.gone()
		w.clean()
	}
	text := forgedText + largeText(4*testPartSize) + ".\r\n"
	for cut := 0; cut < len(text); cut += 29989 {
		for hold := range 8 {
			w, store, v := verifyPartWorld(t)
			store.holdParts = hold&1 != 0
			v.hold[pipeline.PieceHeader], v.hold[pipeline.PieceText] = hold&2 != 0, hold&4 != 0
			s := w.connect()
			s.send(ehlo + envelope)
			s.send(text[:cut])
			s.gone()
			if hold&1 != 0 {
				store.release()
				w.settle()
			}
			v.release()
			w.settle()
			store.release()
			w.settle()
			s.gone()
			w.cleanParts(store)
			v.clean(t)
		}
	}
}

// TestFailedTextEndsVerification: what is refused while it arrives is not verified.
func TestFailedTextEndsVerification(t *testing.T) {
	for name, text := range map[string]string{
		"smuggling": forgedText + largeText(2*testPartSize) + "bare\nLF\r\n",
		"too large": forgedText + largeText(11*testPartSize),
	} {
		for hold := range 4 {
			w, store, v := verifyPartWorld(t)
			v.hold[pipeline.PieceHeader], v.hold[pipeline.PieceText] = hold&1 != 0, hold&2 != 0
			s := w.connect()
			s.send(ehlo + envelope)
			s.hear()
			s.send(text)
			v.release()
			w.settle()
			if used := w.shared.Budget.Used() + w.shared.Parts.Used(); used != 0 {
				t.Errorf("%s: %d bytes are out", name, used)
			}
			s.send(".\r\n")
			if got := s.hear(); !strings.HasPrefix(got, "55") {
				t.Errorf("%s: %q", name, got)
			}
			s.gone()
			w.cleanParts(store)
			v.clean(t)
		}
	}
}

func TestStrangersAloneAreVerified(t *testing.T) {
	o, v := verifyOptions()
	o.Generation.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	w := newWorld(t, o)
	w.store.hold = true
	for i, test := range []struct {
		client, skipped string
	}{
		{"10.1.2.3:25", "trusted"},
		{"[::ffff:10.1.2.3]:25", "trusted"},
		{"192.0.2.1:25", ""},
	} {
		s := w.connectFrom(test.client)
		s.send(ehlo + envelope + forgedText + ".\r\n")
		m := w.store.held[i]
		skipped, verified := m.Verdicts.Skipped, bytes.HasPrefix(w.store.puts[i], []byte(verdictField))
		if skipped != test.skipped || verified != (test.skipped == "") || verified == strings.Contains(w.store.in[i], forgedField) {
			t.Errorf("%s: skipped as %q, stored %q", test.client, skipped, w.store.in[i])
		}
		if forged := m.Verdicts.Forged; verified && forged != 1 {
			t.Errorf("%d forged fields", forged)
		}
	}
	if len(v.begun) != 1 {
		t.Errorf("%d messages were verified", len(v.begun))
	}
}

// TestUsersAreNotVerified: who has proven who it is, is no stranger.
func TestUsersAreNotVerified(t *testing.T) {
	o, v := verifyOptions()
	o.Settings.SetAuth(session.AuthPolicy{Passwords: true, PlainText: true, Senders: ownSender{}})
	o.Settings.Role, o.Submission, o.Authenticator = pipeline.RoleSubmission, true, &scriptedUsers{}
	w := newWorld(t, o)
	w.store.hold = true
	s := w.connect()
	s.send(ehlo + plain("ann@example.net", "secret"))
	s.hear()
	s.send("MAIL FROM:<ann@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
	s.hear()
	s.send(forgedText + ".\r\n")
	if len(w.store.held) != 1 {
		t.Fatalf("not stored: %q", s.hear())
	}
	m := w.store.held[0]
	if m.Verdicts == nil || m.Verdicts.Skipped != pipeline.SkippedAuthenticated || len(v.begun) != 0 {
		t.Errorf("verdicts %+v, %d messages were verified", m.Verdicts, len(v.begun))
	}
}

// TestHeaderTooLong: what is seen of it is read, and the rest is text.
func TestHeaderTooLong(t *testing.T) {
	w, store, v := verifyPartWorld(t)
	s := w.connect()
	header := forgedField + strings.Repeat("X: y\r\n", testPartSize/3)
	s.send(ehlo + envelope + header + "\r\ntext\r\n.\r\n")
	if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
		t.Fatalf("got %q", got)
	}
	if one := v.begun[0]; !one.tooLong || one.text != header+"\r\ntext\r\n" {
		t.Errorf("too long: %v, %d bytes are verified", one.tooLong, len(one.text))
	}
	for _, stored := range store.stored {
		if !strings.HasPrefix(stored, renamedField) {
			t.Errorf("stored was %.100q", stored)
		}
	}
	s.gone()
	w.cleanParts(store)
	v.clean(t)
}

// TestVerdictNeedsTheHeader: a verdict on a header that was not read is none.
func TestVerdictNeedsTheHeader(t *testing.T) {
	w, v := verifyWorld(t)
	v.hold[pipeline.PieceHeader], v.disorder = true, true
	s := w.connect()
	s.send(ehlo + envelope + forgedText + ".\r\n")
	if got := s.hear(); !strings.HasSuffix(got, "451 4.7.0 Mail could not be verified for now, try again later\r\n") {
		t.Errorf("got %q", got)
	}
	v.release()
	w.settle()
	s.gone()
	w.clean()
	v.clean(t)
}

package sim

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"sluice/pipeline"
)

// verifyWorlds marks the seeds of worlds in which mail is verified, and verifyAlso what
// else there is in some of them.
const verifyWorlds = 1 << 58

var verifyAlso = [...]uint64{0, callWorlds, 0, secureWorlds, hoardWorlds, authWorlds, 0, frontWorlds}

// verdictTime is how long a verdict is waited for.
const verdictTime = 2 * time.Second

// The field that a stranger writes in our name, and what it is called afterwards.
const (
	forgedField  = "authentication-Results"
	renamedField = "X-Spoofed-Auth-Results"
)

// forge has some letters claim in their header that we have judged them. The header of a
// few goes on beyond the first part.
func (w *world) forge(l *letter) {
	_, rest, _ := strings.Cut(l.body, "\r\n")
	id := l.body[:len(l.body)-len(rest)]
	fields := ""
	for range w.random.IntN(3) {
		fields += forgedField + ": sim; spf=pass\r\n"
		l.forged++
	}
	if len(l.body) < messageLimit/2 && w.chance(60) {
		fields += strings.Repeat("X-Long: "+filler[:60]+"\r\n", 1+2*partSize/70)
	}
	l.body = id + fields + rest
}

// stored is what the store must have of the letter, of which none or n fields are renamed.
func (l *letter) stored(n int) string { return strings.Replace(l.body, forgedField, renamedField, n) }

// verified returns how many forged fields of a letter are renamed: those of strangers.
func (d *delivery) verified() int {
	if !d.sender.w.plan.verify || d.sender.w.plan.auth {
		return 0
	}
	return d.letter.forged
}

// verifier implements pipeline.Verifier: it is late, or silent for long, fails, refuses,
// and finds forged fields where there are none.
type verifier struct {
	p       *process
	of      map[*pipeline.Message]*check // the newest of each
	living  int                          // begun, and neither judged nor dropped
	away    int                          // pieces that are not home
	dropped *check                       // the last one
	told    int                          // refusals for good
	heard   int                          // of them
	begun   int
}

// check is what a verifier knows of one message.
type check struct {
	v      *verifier
	n      int
	queue  []*pipeline.Piece // in order; the first is being read
	kinds  []pipeline.PieceKind
	text   []byte // that was read, as it came
	header int
	read   bool // the header is home, or on its way
	over   bool // its end was read
	// What became of it.
	dropped, overdue bool
	refusal          error
}

func (c *check) field() []byte {
	if c.overdue {
		return []byte("Authentication-Results: sim; spf=temperror\r\n")
	}
	return fmt.Appendf(nil, "Authentication-Results: sim; x=%d\r\n", c.n)
}

// result is that of SPF.
func (c *check) result() string {
	if c.overdue {
		return "temperror"
	}
	return "pass"
}

func simVerdicts(result string) *pipeline.Verdicts {
	return &pipeline.Verdicts{
		Disposition: pipeline.DispositionAccept,
		SPF:         pipeline.SPFVerdict{Result: result, Identity: "mailfrom", Helo: "none"},
		DMARC:       pipeline.DMARCVerdict{Result: "none", Disposition: "none"},
		IPRev:       pipeline.IPRevVerdict{Result: result},
	}
}

// Begin implements pipeline.Verifier.
func (v *verifier) Begin(m *pipeline.Message) any {
	w := v.p.w
	if m.Client.Auth != nil {
		w.fail("mail of a user is verified")
	}
	v.begun++
	v.living++
	c := &check{v: v, n: v.begun}
	v.of[m] = c
	return c
}

// Read implements pipeline.Verifier.
func (v *verifier) Read(p *pipeline.Piece) {
	w := v.p.w
	c, _ := p.State.(*check)
	if c == nil || c.dropped || len(c.kinds) > 0 && c.kinds[len(c.kinds)-1] == pipeline.PieceEnd ||
		(p.Kind == pipeline.PieceHeader) != (len(c.kinds) == 0) {
		w.fail("a piece of the kind %d that nobody waits for", p.Kind)
		return
	}
	c.kinds = append(c.kinds, p.Kind)
	c.queue = append(c.queue, p)
	v.away++
	if len(c.queue) == 1 {
		c.next()
	}
}

// next has the first piece of the queue read.
func (c *check) next() {
	w := c.v.p.w
	p := c.queue[0]
	before := bytes.Join(p.Chunks, nil)
	took := w.within(20 * time.Millisecond)
	switch {
	case c.dropped:
	case w.fault("verifier silent", w.plan.silent):
		took = [...]time.Duration{verdictTime, timeouts.Message, 30 * time.Second}[w.random.IntN(3)]
	case w.fault("verifier late", w.plan.storeLate):
		took = verdictTime/2 + w.within(2*verdictTime)
	}
	w.note("piece", int(p.Kind), len(before))
	w.begin(took, nil, func() {
		if !bytes.Equal(before, bytes.Join(p.Chunks, nil)) {
			w.fail("a piece was written while the verifier read it")
		}
		c.judge(p, before)
		c.v.away--
		c.queue = c.queue[1:]
		p.Done()
		if len(c.queue) > 0 {
			c.next()
		}
	})
}

// judge sets the results of a piece.
func (c *check) judge(p *pipeline.Piece, text []byte) {
	w := c.v.p.w
	c.text = append(c.text, text...)
	if w.fault("verifier fails", w.plan.logError/4) {
		p.Err = errFault
	}
	switch p.Kind {
	case pipeline.PieceHeader:
		c.header, c.read = len(text), p.Err == nil
		if p.TooLong {
			w.tally["header too long"]++
		}
		for from := 0; ; {
			n := bytes.Index(text[from:], []byte(forgedField))
			if n < 0 {
				break
			}
			p.Forged = append(p.Forged, from+n)
			from += n + 1
			w.tally["forged"]++
		}
		if w.fault("forged where it is not", w.plan.storeError) {
			p.Forged = append(p.Forged, w.random.IntN(2*len(text)+2)-1)
		}
	case pipeline.PieceEnd:
		c.over = true
		if !c.dropped {
			c.v.living--
		}
		p.Verdict = pipeline.Verdict{Field: c.field(), Name: "host.example.com", Verdicts: simVerdicts(c.result())}
		if w.fault("verifier refuses", w.plan.logError) {
			kinds := []pipeline.Kind{pipeline.KindSPFError, pipeline.KindUnverified, pipeline.KindSPF, pipeline.KindDMARC, pipeline.KindPolicy}
			kind := kinds[w.random.IntN(len(kinds))]
			c.refusal = &pipeline.Failure{Kind: kind, Op: "sim", Err: errFault}
			p.Verdict.Refusal = c.refusal
			if kind != pipeline.KindSPFError && kind != pipeline.KindUnverified {
				c.v.told++
			}
		}
		if p.Err != nil {
			c.refusal = p.Err
		}
	}
}

// Drop implements pipeline.Verifier.
func (v *verifier) Drop(state any) {
	c, _ := state.(*check)
	if c == nil || c.dropped {
		v.p.w.fail("a verification ends twice")
		return
	}
	v.p.w.tally["verification dropped"]++
	if !c.over {
		v.living--
	}
	c.dropped, v.dropped = true, c
}

// Overdue implements pipeline.Verifier.
func (v *verifier) Overdue() pipeline.Verdict {
	c := v.dropped
	if c == nil || c.overdue || !c.read {
		v.p.w.fail("a verdict is overdue that nobody has dropped, or whose header was not read")
		return pipeline.Verdict{}
	}
	v.p.w.tally["verdict overdue"]++
	c.overdue = true
	return pipeline.Verdict{Field: c.field(), Verdicts: simVerdicts(c.result())}
}

// leaves asserts that what the store gets of a message may be stored.
func (v *verifier) leaves(m *pipeline.Message) *check {
	if v == nil || m.Verdicts != nil && m.Verdicts.Skipped == pipeline.SkippedAuthenticated {
		return nil
	}
	c := v.of[m]
	switch {
	case c == nil:
		v.p.w.fail("the store has a message that was not verified")
	case !c.read:
		v.p.w.fail("the store has a message whose header was not read")
	}
	return c
}

// stores asserts that a message is what was verified, with its verdict on top. whole is
// all of it below what we add.
func (v *verifier) stores(m *pipeline.Message, whole string) {
	c := v.leaves(m)
	if c == nil || v.p.w.broken != "" {
		return
	}
	text := string(c.text)
	if c.header < len(text) {
		text = strings.ReplaceAll(text[:c.header], forgedField, renamedField) + text[c.header:]
	} else {
		text = strings.ReplaceAll(text, forgedField, renamedField)
	}
	switch {
	case !c.overdue && (c.dropped || !c.over):
		v.p.w.fail("a message is stored without its verdict")
	case c.refusal != nil && !c.overdue:
		v.p.w.fail("a message is stored that was refused: %v", c.refusal)
	case !bytes.HasPrefix(m.Header, append(c.field(), "Received: from "...)):
		v.p.w.fail("a message has another verdict on top: %q", m.Header)
	case !strings.HasPrefix(whole, text) || !c.overdue && whole != text:
		v.p.w.fail("a message of %d octets is stored, and %d others were verified", len(whole), len(text))
	}
}

// publishes asserts that an event has the verdict that stands on top.
func (v *verifier) publishes(m *pipeline.Message) {
	if c := v.leaves(m); c != nil && m.Verdicts.SPF.Result != c.result() {
		v.p.w.fail("an event has another verdict than its message: %+v", m.Verdicts)
	}
}

// refused reports whether a reply refuses a message for good as the verifier wants it.
func (v *verifier) refused(line string, due expectation) bool {
	if v == nil || due.to != "final dot" || !strings.HasPrefix(line, "550 5.7.") {
		return false
	}
	v.heard++
	return true
}

// audit asserts in the end that nothing is left.
func (v *verifier) audit() {
	switch {
	case v == nil:
	case v.living != 0 || v.away != 0:
		v.p.w.fail("after a quiet time %d verifications have no end, %d pieces are not home", v.living, v.away)
	case v.heard > v.told:
		v.p.w.fail("%d refusals were told, and the verifier has asked for %d", v.heard, v.told)
	}
}

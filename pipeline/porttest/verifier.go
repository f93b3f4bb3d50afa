package porttest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/pipeline"
)

// VerifierUnderTest is a verifier, with what the suite needs besides the port.
type VerifierUnderTest struct {
	pipeline.Verifier
	// Host is the name in which verdicts are written.
	Host string
	// Deadline is when a verdict comes at the latest.
	Deadline time.Duration
	// Silence makes whoever the verifier asks not answer until restore is called.
	Silence func() (restore func())
}

// Verifier is the conformance suite of pipeline.Verifier. open opens a new verifier and
// registers its cleanup with t.
func Verifier(t *testing.T, open func(t *testing.T) VerifierUnderTest) {
	t.Run("all at once", func(t *testing.T) { verifiedAtOnce(t, open(t)) })
	t.Run("one by one", func(t *testing.T) { verifiedOneByOne(t, open(t)) })
	t.Run("dropped", func(t *testing.T) { verificationDropped(t, open(t)) })
	t.Run("silent", func(t *testing.T) { verifiedInSilence(t, open(t)) })
	t.Run("beside each other", func(t *testing.T) { verifiedBesideEachOther(t, open(t)) })
	t.Run("overdue", func(t *testing.T) { verdictOverdue(t, open(t)) })
}

// verified is a message on its way through a verifier.
type verified struct {
	v       VerifierUnderTest
	m       *pipeline.Message
	parts   []*pipeline.Part
	state   any
	follows bool // the header goes on beyond the first part
	out     int
	homing  chan *pipeline.Task
	result  *pipeline.Verdict
}

// Post implements pipeline.Poster.
func (v *verified) Post(t *pipeline.Task) { v.homing <- t }

// letters are messages in all forms: where their header ends, and whether it does.
func letters(host string) map[string]string {
	forged := "authentication-RESULTS : \"" + host + "\"; dmarc=pass\r\n"
	return map[string]string{
		"common":         "From: a@example.com\r\nSubject: a\r\n\r\ntext\r\n",
		"forged":         "From: a@example.com\r\n" + forged + "To: b@example.net\r\n" + forged + "\r\n" + forged,
		"without text":   "From: a@example.com\r\n\r\n",
		"without end":    "From: a@example.com\r\n",
		"without header": "\r\ntext\r\n",
		"no mail":        "\x00\r\xff: \n\n.\r\n: \r\n",
		"empty":          "",
		"large":          "From: a@example.com\r\n" + forged + "\r\n" + strings.Repeat("text of a line\r\n", 100<<10),
	}
}

// begin begins a verification. The text is in parts of size bytes.
func begin(u VerifierUnderTest, text string, size int) *verified {
	v := &verified{v: u, homing: make(chan *pipeline.Task, 1000)}
	v.m = NewMessage(nil)
	v.m.Loop, v.m.ID = v, pipeline.ID{}
	v.state = u.Begin(v.m)
	v.m.Verify(v.state, v.home)
	first := text[:min(size, len(text))]
	Fill(&v.m.Body, []byte(first))
	ended := v.m.Verification.Scan([]byte(first))
	v.follows = !ended && len(first) < len(text)
	for rest := text[len(first):]; rest != ""; rest = rest[min(size, len(rest)):] {
		p := &pipeline.Part{Message: v.m, Number: len(v.parts) + 2}
		Fill(&p.Body, []byte(rest[:min(size, len(rest))]))
		v.parts = append(v.parts, p)
	}
	return v
}

// home takes a piece that has come home, as its loop does.
func (v *verified) home(m *pipeline.Message, p *pipeline.Piece) {
	m.Verification.Returned(p)
	switch {
	case !m.Verified():
	case p.Kind == pipeline.PieceHeader && p.Err == nil:
		m.HeaderRead(p)
	case p.Kind == pipeline.PieceEnd:
		v.result = &p.Verdict
	case p.Part != nil:
		for _, chunk := range p.Part.Body.Chunks() {
			scribble(chunk) // nobody reads it any more
		}
	}
}

// pieces returns functions, each of which has the verifier read the next piece.
func (v *verified) pieces() []func() {
	read := func(p *pipeline.Piece) {
		if p != nil {
			v.out++
			v.v.Read(p)
		}
	}
	all := []func(){
		func() { read(v.m.TakeHeader(v.follows)) },
		func() { read(v.m.TakeText()) },
	}
	for _, p := range v.parts {
		all = append(all, func() { read(v.m.TakePart(p, v.home)) })
	}
	return append(all, func() { read(v.m.TakeEnd()) })
}

// await takes home all pieces that are out.
func (v *verified) await() error {
	for ; v.out > 0; v.out-- {
		select {
		case t := <-v.homing:
			t.Run()
		case <-time.After(resultTimeout):
			return fmt.Errorf("%d pieces have no result within %s", v.out, resultTimeout)
		}
	}
	return nil
}

// check returns an error unless the verdict is one.
func (v *verified) check() error {
	select {
	case <-v.homing:
		return errors.New("a piece has two results")
	default:
	}
	switch {
	case v.m.HeaderUnread():
		return errors.New("the header was not read")
	case v.result == nil:
		return errors.New("there is no verdict")
	}
	return checkVerdict(v.result)
}

func checkVerdict(verdict *pipeline.Verdict) error {
	field := string(verdict.Field)
	switch {
	case !strings.HasPrefix(field, "Authentication-Results: ") || !strings.HasSuffix(field, "\r\n"):
		return fmt.Errorf("the field is %q", field)
	case strings.ContainsAny(strings.ReplaceAll(strings.TrimSuffix(field, "\r\n"), "\r\n\t", ""), "\r\n\x00"):
		return fmt.Errorf("the field has more lines: %q", field)
	case verdict.Verdicts == nil || verdict.Verdicts.Skipped != "":
		return fmt.Errorf("the verdicts for the event are %+v", verdict.Verdicts)
	case strings.ContainsAny(verdict.Name, " \t\r\n()[]"):
		return fmt.Errorf("the name is %q", verdict.Name)
	}
	return nil
}

// verify has all of a message read, and returns an error unless that is right.
func verify(u VerifierUnderTest, text string, size int, oneByOne bool) error {
	v := begin(u, text, size)
	for _, read := range v.pieces() {
		if read(); !oneByOne {
			continue
		}
		if err := v.await(); err != nil {
			return err
		}
	}
	if err := v.await(); err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return err
	}
	v.m.Judge(*v.result)
	header, _, _ := strings.Cut(text, "\r\n\r\n")
	if want := strings.Count(header, "authentication-RESULTS"); v.m.Verdicts.Forged != want {
		return fmt.Errorf("%d fields of %d were renamed", v.m.Verdicts.Forged, want)
	}
	if first := bytes.Join(v.m.Body.Chunks(), nil); len(first) != min(size, len(text)) {
		return fmt.Errorf("the first part has %d bytes", len(first))
	}
	return nil
}

func verifiedAtOnce(t *testing.T, u VerifierUnderTest) {
	for name, text := range letters(u.Host) {
		for _, size := range []int{64 << 10, 1 << 30} {
			if err := verify(u, text, size, false); err != nil {
				t.Errorf("%s in parts of %d: %v", name, size, err)
			}
		}
	}
}

func verifiedOneByOne(t *testing.T, u VerifierUnderTest) {
	for name, text := range letters(u.Host) {
		if err := verify(u, text, 64<<10, true); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// verificationDropped drops a verification behind each of its pieces.
func verificationDropped(t *testing.T, u VerifierUnderTest) {
	defer u.Silence()()
	text := letters(u.Host)["large"]
	for after, more := 0, true; more; after++ {
		v := begin(u, text, 512<<10)
		all := v.pieces()
		for _, read := range all[:after] {
			read()
		}
		more = after < len(all)
		v.m.Verification.State = nil
		u.Drop(v.state)
		began := time.Now()
		if err := v.await(); err != nil {
			t.Fatalf("behind %d pieces: %v", after, err)
		}
		if took := time.Since(began); took > u.Deadline/2 && u.Deadline >= time.Second {
			t.Errorf("behind %d pieces a result took %v", after, took)
		}
	}
}

// verifiedInSilence: header and text are read although nobody answers, and the verdict
// comes all the same.
func verifiedInSilence(t *testing.T, u VerifierUnderTest) {
	restore := u.Silence()
	defer restore()
	v := begin(u, letters(u.Host)["large"], 512<<10)
	all := v.pieces()
	for _, read := range all[:len(all)-1] {
		read()
		if err := v.await(); err != nil {
			t.Fatal(err)
		}
	}
	if v.m.HeaderUnread() {
		t.Error("the header waits for an answer")
	}
	all[len(all)-1]()
	if err := v.await(); err != nil {
		t.Fatal(err)
	}
	if err := v.check(); err != nil {
		t.Error(err)
	}
}

func verifiedBesideEachOther(t *testing.T, u VerifierUnderTest) {
	var all sync.WaitGroup
	for name, text := range letters(u.Host) {
		for range 8 {
			all.Go(func() {
				if err := verify(u, text, 64<<10, false); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	all.Wait()
}

// verdictOverdue: each verdict is the caller's own.
func verdictOverdue(t *testing.T, u VerifierUnderTest) {
	one, other := u.Overdue(), u.Overdue()
	if err := checkVerdict(&one); err != nil {
		t.Fatal(err)
	}
	if one.Verdicts == other.Verdicts {
		t.Error("two messages have the same verdicts")
	}
}

package driver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
)

const testPartSize = 100 << 10

// partStore is a scriptedStore that takes messages in parts.
type partStore struct {
	scriptedStore
	partSize  int64
	holdParts bool
	failPart  int // the number of the part that fails
	parts     []*pipeline.Part
	uploads   map[*upload]bool // open ones
	stored    map[string]string
}

type upload struct{ pieces map[int]string }

func newPartStore() *partStore {
	return &partStore{partSize: testPartSize, uploads: map[*upload]bool{}, stored: map[string]string{}}
}

func (s *partStore) PartSize() int64 { return s.partSize }

func text(b *pipeline.Body) string {
	var out strings.Builder
	_, _ = b.WriteTo(&out)
	return out.String()
}

func (s *partStore) PutPart(p *pipeline.Part) {
	if p.Message.Parts.Upload == nil {
		u := &upload{pieces: map[int]string{}}
		s.uploads[u] = true
		p.Message.Parts.Upload = u
	}
	u := p.Message.Parts.Upload.(*upload)
	if u.pieces[p.Number] != "" || len(u.pieces) != p.Number-2 {
		panic(fmt.Sprintf("part %d behind %d", p.Number, len(u.pieces)))
	}
	if p.Message.Body.Size() < s.partSize {
		panic("the first part is not full")
	}
	u.pieces[p.Number] = text(&p.Body)
	if s.holdParts {
		s.parts = append(s.parts, p)
		return
	}
	s.answer(p)
}

func (s *partStore) answer(p *pipeline.Part) {
	if p.Number == s.failPart {
		p.Uploaded(errScripted)
		return
	}
	p.Uploaded(nil)
}

// release answers the parts that are held, the newest first.
func (s *partStore) release() {
	held := s.parts
	s.parts = nil
	for i := range held {
		s.answer(held[len(held)-1-i])
	}
}

func (s *partStore) Put(m *pipeline.Message) {
	whole := text(&m.Body)
	if m.Parts.Upload != nil {
		u := m.Parts.Upload.(*upload)
		for n := 2; n < 2+len(u.pieces); n++ {
			whole += u.pieces[n]
		}
		delete(s.uploads, u)
	}
	s.stored[m.ID.String()] = whole
	s.scriptedStore.Put(m)
}

func (s *partStore) Abort(u any) {
	if !s.uploads[u.(*upload)] {
		panic("aborted twice, or after its end")
	}
	delete(s.uploads, u.(*upload))
}

func partWorld(t *testing.T, o options) (*world, *partStore) {
	w := newWorld(t, o)
	s := newPartStore()
	w.shared.Committer.Store = s
	w.shared.takeParts(s)
	w.shared.partCredits = newCreditPool(w.shared.Parts, w.loop)
	return w, s
}

func (w *world) cleanParts(s *partStore) {
	w.t.Helper()
	w.clean()
	if len(s.uploads) != 0 {
		w.t.Errorf("%d uploads are pending", len(s.uploads))
	}
}

func largeText(octets int) string {
	var b strings.Builder
	for i := 0; b.Len() < octets; i++ {
		fmt.Fprintf(&b, "line %d of some mail text that is long enough\r\n", i)
	}
	return b.String()[:octets-2] + "\r\n"
}

func TestMessageLeavesInParts(t *testing.T) {
	for _, size := range []int{10, testPartSize - 1, testPartSize, testPartSize + 20, 2 * testPartSize, 5*testPartSize + 12345} {
		for _, chunk := range []int{1 << 30, 65536, 1000, 7} {
			w, store := partWorld(t, testOptions())
			s := w.connect()
			s.send(ehlo + envelope)
			body := largeText(size)
			for rest := body + ".\r\n"; rest != ""; {
				n := min(chunk, len(rest))
				s.send(rest[:n])
				rest = rest[n:]
			}
			if got := s.hear(); !strings.Contains(got, "250 2.0.0 Ok 0") {
				t.Fatalf("%d octets in chunks of %d: %q", size, chunk, got)
			}
			for _, stored := range store.stored {
				if stored != body {
					t.Fatalf("%d octets in chunks of %d: stored %d octets differ", size, chunk, len(stored))
				}
			}
			s.gone()
			w.cleanParts(store)
		}
	}
}

// While parts are uploaded as fast as they come, a message holds little more than
// its first part and the one that is being filled.
func TestPartsFreeMemory(t *testing.T) {
	o := testOptions()
	o.Budget = pipeline.NewBudget(2*testPartSize + 64<<10)
	o.Parts = pipeline.NewBudget(2 * pipeline.SlabBytes(testPartSize+readAhead))
	w, store := partWorld(t, o)
	s := w.connect()
	s.send(ehlo + envelope)
	line := strings.Repeat("x", 98) + "\r\n"
	for range 9 {
		s.send(strings.Repeat(line, 1000))
	}
	s.hear()
	s.send(".\r\n")
	if got := s.hear(); !strings.HasPrefix(got, "250 2.0.0 Ok") {
		t.Fatalf("900 KB through a budget of 600 KiB: %q", got)
	}
	s.gone()
	w.cleanParts(store)
}

func TestPartsFail(t *testing.T) {
	for name, test := range map[string]struct {
		hold, fail, gone, silent, storeFails bool
		size                                 int
		want                                 string
	}{
		"a part fails at once":              {fail: true, size: 5, want: "451 4.3.0"},
		"a part fails behind the final dot": {fail: true, hold: true, size: 5, want: "451 4.3.0"},
		"the last step fails":               {storeFails: true, size: 5, want: "451 4.3.0"},
		"the client goes":                   {gone: true, hold: true, size: 5},
		"the store is silent":               {silent: true, hold: true, size: 5, want: "451 4.3.0"},
		"too large on the way":              {hold: true, size: 11, want: "552 5.3.4"},
		"too large with nothing in flight":  {size: 11, want: "552 5.3.4"},
	} {
		t.Run(name, func(t *testing.T) {
			w, store := partWorld(t, testOptions())
			store.holdParts = test.hold
			if test.fail {
				store.failPart = 3
			}
			if test.storeFails {
				store.err = errScripted
			}
			s := w.connect()
			s.send(ehlo + envelope)
			s.hear()
			s.send(largeText(test.size * testPartSize))
			if test.gone {
				s.gone()
			}
			s.send(".\r\n")
			if test.silent {
				w.advance(testTimeouts().Message + time.Second)
			}
			store.release()
			w.settle()
			if got := s.hear(); !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %s", got, test.want)
			}
			if len(w.log.events) != 0 {
				t.Errorf("announced: %v", w.log.events)
			}
			s.gone()
			w.cleanParts(store)
		})
	}
}

// A client that goes at any moment leaves no upload, slab or credit.
func TestClientGoneAmongParts(t *testing.T) {
	body := largeText(4*testPartSize) + ".\r\n"
	for cut := 0; cut < len(body); cut += 9973 {
		for _, hold := range []bool{false, true} {
			w, store := partWorld(t, testOptions())
			store.holdParts = hold
			s := w.connect()
			s.send(ehlo + envelope)
			s.send(body[:cut])
			s.gone()
			store.release()
			w.settle()
			w.cleanParts(store)
		}
	}
}

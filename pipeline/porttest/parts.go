package porttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"sluice/pipeline"
)

// PartStoreUnderTest is a store that takes parts, with what the suite needs
// besides the port.
type PartStoreUnderTest struct {
	StoreUnderTest
	Parts pipeline.PartStore
	// Pending counts the uploads of a key that are neither completed nor aborted.
	Pending func(ctx context.Context, key string) (int, error)
	// Break makes every request fail until mend is called.
	Break func() (mend func())
}

// PartStore is the conformance suite of pipeline.PartStore, beside that of
// ObjectStore. open makes a new store and registers its cleanup with t.
func PartStore(t *testing.T, open func(t *testing.T) PartStoreUnderTest) {
	t.Run("all at once", func(t *testing.T) { partsAtOnce(t, open(t)) })
	t.Run("one by one", func(t *testing.T) { partsOneByOne(t, open(t)) })
	t.Run("64 MiB", func(t *testing.T) { partsMany(t, open(t)) })
	t.Run("abort", func(t *testing.T) { partsAborted(t, open(t)) })
	t.Run("part fails", func(t *testing.T) { partFails(t, open(t)) })
	t.Run("put fails", func(t *testing.T) { putFails(t, open(t)) })
	t.Run("closed", func(t *testing.T) { partsClosed(t, open(t)) })
}

// Large is a message on its way in parts.
type Large struct {
	*Sent
	Key   string
	store pipeline.PartStore
	parts []*sentPart
}

type sentPart struct {
	*pipeline.Part
	results chan struct{}
	count   atomic.Int32
}

// NewLarge makes a message whose first part is there and no more, as it is while
// DATA arrives: without trace fields.
func NewLarge(store pipeline.PartStore, first []byte) *Large {
	m := NewMessage(first)
	m.Header, m.ReceivedAt = nil, time.Time{}
	l := &Large{Sent: newSent(m), Key: m.Key(), store: store}
	m.Task.Run = func() { l.Sent.Post(nil) }
	m.Loop = opener{}
	return l
}

// opener is a loop that runs every task at once.
type opener struct{}

func (opener) Post(p *pipeline.Task) { p.Run() }

// PutPart hands the next part over.
func (l *Large) PutPart(octets []byte) {
	p := &sentPart{results: make(chan struct{}, 16)}
	p.Part = &pipeline.Part{Message: l.M, Number: len(l.parts) + 2}
	p.Run = func() {
		p.count.Add(1)
		p.results <- struct{}{}
	}
	Fill(&p.Body, octets)
	l.Body = append(l.Body, octets...)
	l.parts = append(l.parts, p)
	l.store.PutPart(p.Part)
}

// Wait waits for the result of every part, scribbles over their octets, and gives
// the first error of a part.
func (l *Large) Wait() (failure, err error) {
	for _, p := range l.parts {
		if p.Message == nil {
			continue
		}
		select {
		case <-p.results:
		case <-time.After(resultTimeout):
			return nil, fmt.Errorf("part %d: no result within %s", p.Number, resultTimeout)
		}
		for _, chunk := range p.Body.Chunks() {
			scribble(chunk)
		}
		p.Message = nil
		if failure == nil {
			failure = p.Err
		}
	}
	for _, p := range l.parts {
		if n := p.count.Load(); n != 1 {
			return nil, fmt.Errorf("part %d: %d results", p.Number, n)
		}
	}
	return failure, nil
}

// Put ends the message: the trace fields, then the first part.
func (l *Large) Put() error {
	l.M.ReceivedAt = time.Now()
	l.M.Header = pipeline.AppendTrace(l.M.Header[:0], l.M)
	l.Header = append([]byte{}, l.M.Header...)
	l.store.Put(l.M)
	return l.wait()
}

// send hands over all parts and waits for them, then puts.
func (l *Large) send(t *testing.T, parts ...[]byte) {
	t.Helper()
	for _, part := range parts {
		l.PutPart(part)
	}
	failure, err := l.Wait()
	if err != nil || failure != nil {
		t.Fatalf("%v %v", err, failure)
	}
	if err := l.Put(); err != nil {
		t.Fatal(err)
	}
}

// check compares what is stored with what was sent.
func (s *PartStoreUnderTest) check(t *testing.T, l *Large) {
	t.Helper()
	checkStored(t, s.StoreUnderTest, l.Sent, l.Key)
	if l.again() {
		t.Error("more than one result")
	}
	s.checkPending(t, l.Key)
}

func (s *PartStoreUnderTest) checkPending(t *testing.T, key string) {
	t.Helper()
	if n, err := s.Pending(t.Context(), key); err != nil || n != 0 {
		t.Errorf("%d uploads pending: %v", n, err)
	}
}

// gone waits until neither object nor upload are there.
func (s *PartStoreUnderTest) gone(t *testing.T, key string) {
	t.Helper()
	var state string
	for end := time.Now().Add(resultTimeout); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		n, err := s.Pending(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Open(t.Context(), key, 0, 1)
		if err == nil {
			_ = r.Close()
		} else if n == 0 && errors.Is(err, fs.ErrNotExist) {
			return
		}
		state = fmt.Sprintf("%d uploads pending, object: %v", n, err)
	}
	t.Errorf("%s is not gone: %s", key, state)
}

// partsAtOnce sends the parts of several messages without waiting: they are
// uploaded in any order.
func partsAtOnce(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	all := make([]*Large, 3)
	for i := range all {
		all[i] = NewLarge(s.Parts, octets(size+i))
	}
	for j := range 3 {
		for i, l := range all {
			l.PutPart(octets(size + 16 - j*i))
		}
	}
	for i, l := range all {
		l.send(t, octets(i*1000)) // the first message's last part is empty
		s.check(t, l)
	}
}

// partsOneByOne waits for each part, as a slow sender makes it.
func partsOneByOne(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, octets(size))
	for _, n := range []int{size, size + 1} {
		l.PutPart(octets(n))
		if failure, err := l.Wait(); failure != nil || err != nil {
			t.Fatalf("%v %v", failure, err)
		}
	}
	l.send(t, octets(1))
	s.check(t, l)
	only := NewLarge(s.Parts, octets(size)) // ended at the first part's end
	only.send(t, nil)
	s.check(t, only)
}

func partsMany(t *testing.T, s PartStoreUnderTest) {
	const whole = 64 << 20
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, octets(size))
	rest := whole - size
	for ; rest > size; rest -= size {
		l.PutPart(octets(size + rest%7))
	}
	l.send(t, octets(rest))
	s.check(t, l)
}

func partsAborted(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, octets(size))
	l.PutPart(octets(size))
	l.PutPart(octets(size))
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	if n, err := s.Pending(t.Context(), l.Key); n != 1 || err != nil {
		t.Errorf("before Abort %d uploads pending: %v", n, err)
	}
	s.Parts.Abort(l.M.Upload)
	s.gone(t, l.Key)
}

// partFails lets parts fail before and after the upload was begun.
func partFails(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	for good := range 2 {
		l := NewLarge(s.Parts, octets(size))
		for range good {
			l.PutPart(octets(size))
		}
		if failure, err := l.Wait(); failure != nil || err != nil {
			t.Fatalf("%v %v", failure, err)
		}
		mend := s.Break()
		l.PutPart(octets(size))
		l.PutPart(octets(size))
		failure, err := l.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if pipeline.KindOf(failure) != pipeline.KindTemporary {
			t.Errorf("failure %v", failure)
		}
		s.Parts.Abort(l.M.Upload)
		mend()
		s.gone(t, l.Key)
	}
	l := NewLarge(s.Parts, octets(size))
	l.send(t, octets(7))
	s.check(t, l)
}

func putFails(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, octets(size))
	l.PutPart(octets(size))
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	mend := s.Break()
	if err := l.Put(); err != nil {
		t.Fatal(err)
	}
	if pipeline.KindOf(l.Err) != pipeline.KindTemporary || l.Blob != (pipeline.Blob{}) {
		t.Errorf("failure %v, blob %+v", l.Err, l.Blob)
	}
	mend()
	s.gone(t, l.Key)
}

// partsClosed closes a store with parts under way: each has one result, and what
// had begun is aborted.
func partsClosed(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, octets(size))
	l.PutPart(octets(size))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	l.PutPart(octets(size))
	if _, err := l.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	l.PutPart(octets(1))
	if failure, err := l.Wait(); failure == nil || err != nil {
		t.Errorf("a closed store took a part: %v", err)
	}
}

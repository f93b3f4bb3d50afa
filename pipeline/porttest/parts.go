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

// PartStoreUnderTest is a store that takes parts, with what the suite needs besides the
// port.
type PartStoreUnderTest struct {
	StoreUnderTest
	Parts pipeline.PartStore
	// Pending counts the uploads of a key that are neither completed nor aborted.
	Pending func(ctx context.Context, key string) (int, error)
	// Break makes every request fail until restore is called.
	Break func() (restore func())
}

// PartStore is the conformance suite of pipeline.PartStore, in addition to that of
// ObjectStore. open opens a new store and registers its cleanup with t.
func PartStore(t *testing.T, open func(t *testing.T) PartStoreUnderTest) {
	t.Run("all at once", func(t *testing.T) { partsAtOnce(t, open(t)) })
	t.Run("one by one", func(t *testing.T) { partsOneByOne(t, open(t)) })
	t.Run("64 MiB", func(t *testing.T) { partsMany(t, open(t)) })
	t.Run("abort", func(t *testing.T) { partsAborted(t, open(t)) })
	t.Run("part fails", func(t *testing.T) { partFails(t, open(t)) })
	t.Run("put fails", func(t *testing.T) { putFails(t, open(t)) })
	t.Run("closed", func(t *testing.T) { partsClosed(t, open(t)) })
}

// Large is a message that is put in parts.
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

// NewLarge returns a message with its first part alone and without trace fields, as it is
// while DATA arrives.
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

// PutPart puts the next part.
func (l *Large) PutPart(content []byte) {
	p := &sentPart{results: make(chan struct{}, 16)}
	p.Part = &pipeline.Part{Message: l.M, Number: len(l.parts) + 2}
	p.Run = func() {
		p.count.Add(1)
		p.results <- struct{}{}
	}
	Fill(&p.Body, content)
	l.Body = append(l.Body, content...)
	l.parts = append(l.parts, p)
	l.store.PutPart(p.Part)
}

// Wait waits for the result of every part and scribbles over the parts. failure is the
// first result that is an error.
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

// Put completes the message: it writes the trace fields and puts the message.
func (l *Large) Put() error {
	l.M.ReceivedAt = time.Now()
	l.M.Header = pipeline.AppendTrace(l.M.Header[:0], l.M)
	l.Header = append([]byte{}, l.M.Header...)
	l.store.Put(l.M)
	return l.wait()
}

// send puts all parts, waits for them, and puts the message.
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

// check compares the stored object with what was sent.
func (s *PartStoreUnderTest) check(t *testing.T, l *Large) {
	t.Helper()
	checkStored(t, s.StoreUnderTest, l.Sent, l.Key)
	if l.answeredTwice() {
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

// awaitGone waits until neither the object nor an upload exists.
func (s *PartStoreUnderTest) awaitGone(t *testing.T, key string) {
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

// partsAtOnce sends the parts of several messages without waiting. They are uploaded in
// any order.
func partsAtOnce(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	all := make([]*Large, 3)
	for i := range all {
		all[i] = NewLarge(s.Parts, randomBytes(size+i))
	}
	for j := range 3 {
		for i, l := range all {
			l.PutPart(randomBytes(size + 16 - j*i))
		}
	}
	for i, l := range all {
		l.send(t, randomBytes(i*1000)) // the first message's last part is empty
		s.check(t, l)
	}
}

// partsOneByOne waits for each part, as with a slow sender.
func partsOneByOne(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, randomBytes(size))
	for _, n := range []int{size, size + 1} {
		l.PutPart(randomBytes(n))
		if failure, err := l.Wait(); failure != nil || err != nil {
			t.Fatalf("%v %v", failure, err)
		}
	}
	l.send(t, randomBytes(1))
	s.check(t, l)
	only := NewLarge(s.Parts, randomBytes(size)) // the text fills the first part exactly
	only.send(t, nil)
	s.check(t, only)
}

func partsMany(t *testing.T, s PartStoreUnderTest) {
	const whole = 64 << 20
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, randomBytes(size))
	rest := whole - size
	for ; rest > size; rest -= size {
		l.PutPart(randomBytes(size + rest%7))
	}
	l.send(t, randomBytes(rest))
	s.check(t, l)
}

func partsAborted(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, randomBytes(size))
	l.PutPart(randomBytes(size))
	l.PutPart(randomBytes(size))
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	if n, err := s.Pending(t.Context(), l.Key); n != 1 || err != nil {
		t.Errorf("before Abort %d uploads pending: %v", n, err)
	}
	s.Parts.Abort(l.M.Parts.Upload)
	s.awaitGone(t, l.Key)
}

// partFails makes parts fail before and after the upload was initiated.
func partFails(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	for good := range 2 {
		l := NewLarge(s.Parts, randomBytes(size))
		for range good {
			l.PutPart(randomBytes(size))
		}
		if failure, err := l.Wait(); failure != nil || err != nil {
			t.Fatalf("%v %v", failure, err)
		}
		restore := s.Break()
		l.PutPart(randomBytes(size))
		l.PutPart(randomBytes(size))
		failure, err := l.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if pipeline.KindOf(failure) != pipeline.KindTemporary {
			t.Errorf("failure %v", failure)
		}
		s.Parts.Abort(l.M.Parts.Upload)
		restore()
		s.awaitGone(t, l.Key)
	}
	l := NewLarge(s.Parts, randomBytes(size))
	l.send(t, randomBytes(7))
	s.check(t, l)
}

func putFails(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, randomBytes(size))
	l.PutPart(randomBytes(size))
	if failure, err := l.Wait(); failure != nil || err != nil {
		t.Fatalf("%v %v", failure, err)
	}
	restore := s.Break()
	if err := l.Put(); err != nil {
		t.Fatal(err)
	}
	if pipeline.KindOf(l.Err) != pipeline.KindTemporary || l.Blob != (pipeline.Blob{}) {
		t.Errorf("failure %v, blob %+v", l.Err, l.Blob)
	}
	restore()
	s.awaitGone(t, l.Key)
}

// partsClosed closes a store with parts in flight. Each must have one result, and the
// upload must be aborted.
func partsClosed(t *testing.T, s PartStoreUnderTest) {
	size := int(s.Parts.PartSize())
	l := NewLarge(s.Parts, randomBytes(size))
	l.PutPart(randomBytes(size))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	l.PutPart(randomBytes(size))
	if _, err := l.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	l.PutPart(randomBytes(1))
	if failure, err := l.Wait(); failure == nil || err != nil {
		t.Errorf("a closed store took a part: %v", err)
	}
}

// Package porttest has a conformance suite for each port of package pipeline. Every
// adapter passes the same tests.
package porttest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/pipeline"
)

// Sent is a message that is put through an adapter, with a copy of its content.
type Sent struct {
	M      *pipeline.Message
	Header []byte
	Body   []byte

	results chan struct{}
	count   atomic.Int32
	// The result of the adapter.
	Blob   pipeline.Blob
	Digest pipeline.Digest
	Event  pipeline.Position
	Err    error
}

// Post implements pipeline.Poster. It counts the results of the message.
func (s *Sent) Post(*pipeline.Task) {
	s.count.Add(1)
	s.results <- struct{}{}
}

// takeResult copies the result and then scribbles over the message, as its owner may. An
// adapter that still reads it is found by the race detector or by its wrong bytes.
func (s *Sent) takeResult() {
	m := s.M
	s.Blob, s.Digest, s.Event, s.Err = m.Result.Blob, m.Result.Digest, m.Result.Event, m.Result.Err
	scribble(m.Header)
	for _, chunk := range m.Body.Chunks() {
		scribble(chunk)
	}
	m.Body.Release(pipeline.NewSlabPool(0))
	m.Reset()
	m.Envelope.SetReversePath([]byte("scribbled@example.org"))
	m.Gateway = "scribbled"
}

// marks is copied over what an adapter may not read any more: a loop over its bytes
// would take the race detector longer than all that is tested.
var marks = bytes.Repeat([]byte{'#'}, 64<<10)

func scribble(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, marks):]
	}
}

var random = lockedRandom{}

// lockedRandom is safe for concurrent use, as rand's own functions are.
type lockedRandom struct{}

func (lockedRandom) Uint64() uint64 { return rand.Uint64() }

// NewMessage returns a complete message with this body and a trace field, ready to be
// stored. Store and Announce set its Loop.
func NewMessage(body []byte) *pipeline.Message {
	m := &pipeline.Message{}
	m.Reset()
	m.ID = pipeline.NewID(time.Now(), random)
	m.Gateway = "mx.example.net"
	m.Client = pipeline.Client{
		Address:  netip.MustParseAddrPort("192.0.2.1:4711"),
		Helo:     "client.example.org",
		Protocol: "ESMTP",
	}
	m.Envelope.SetReversePath([]byte("sender@example.org"))
	m.Envelope.AddRecipient([]byte("recipient@example.net"))
	m.ReceivedAt = time.Now()
	m.Header = pipeline.AppendTrace(nil, m)
	Fill(&m.Body, body)
	m.Summary.ScanHeader(&m.Body)
	return m
}

// provokePanic makes whatever encodes the message's event panic. No path of the product
// leads to such a message; a bug could.
func provokePanic(m *pipeline.Message) {
	twin := m.Envelope // shares what says where addresses end
	twin.SetReversePath(make([]byte, 4<<10))
}

// Fill writes content to an empty body, slab by slab as the event loop does.
func Fill(b *pipeline.Body, content []byte) {
	pool := pipeline.NewSlabPool(0)
	for len(content) > 0 {
		if len(b.Room()) == 0 {
			b.Grow(pool)
		}
		n := copy(b.Room(), content)
		b.Wrote(n)
		content = content[n:]
	}
}

// newSent returns a Sent that receives the result of m.
func newSent(m *pipeline.Message) *Sent {
	s := &Sent{M: m, results: make(chan struct{}, 16)}
	s.Header = append([]byte{}, m.Header...)
	for _, chunk := range m.Body.Chunks() {
		s.Body = append(s.Body, chunk...)
	}
	m.Loop = s
	return s
}

// resultTimeout is far longer than any result takes.
const resultTimeout = 60 * time.Second

// wait waits for the one result.
func (s *Sent) wait() error { return s.waitFor(func(*pipeline.Message) {}) }

// waitFor waits for the one result. It calls inspect with the message and its result
// before it scribbles over the message.
func (s *Sent) waitFor(inspect func(*pipeline.Message)) error {
	select {
	case <-s.results:
	case <-time.After(resultTimeout):
		return fmt.Errorf("no result within %s", resultTimeout)
	}
	if n := s.count.Load(); n != 1 {
		return fmt.Errorf("%d results", n)
	}
	inspect(s.M)
	s.takeResult()
	return nil
}

// answeredTwice reports whether more than one result has come.
func (s *Sent) answeredTwice() bool { return s.count.Load() > 1 }

// Store puts a message and waits for its result, which is in the Sent.
func Store(store pipeline.ObjectStore, m *pipeline.Message) (*Sent, error) {
	s := newSent(m)
	store.Put(m)
	return s, s.wait()
}

// Announce publishes a stored message and waits for its result, which is in the Sent.
func Announce(log pipeline.EventLog, m *pipeline.Message) (*Sent, error) {
	s := newSent(m)
	log.Publish(m)
	return s, s.wait()
}

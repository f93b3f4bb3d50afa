package indexer

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// object is a range of an object that is being read. The store has stallTimeout for each
// progress bytes: an object may take long, but not a store that is silent.
type object struct {
	cancel context.CancelFunc
	body   io.ReadCloser
	timer  *time.Timer
	left   time.Duration // until the store counts as silent
	came   int64         // since that was renewed
	took   time.Duration // all waits for the store together
}

const (
	stallTimeout = 30 * time.Second
	progress     = 64 << 10
)

var errStalled = errors.New("the store does not answer")

// openObject opens a range of an object. close must be called, also after an error.
func (x *Indexer) openObject(ctx context.Context, key string, offset, length int64) (*object, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	o := &object{cancel: func() { cancel(nil) }, left: stallTimeout}
	began := time.Now()
	o.timer = time.AfterFunc(o.left, func() { cancel(errStalled) })
	body, err := x.options.Objects.Open(ctx, key, offset, length)
	o.timer.Stop()
	o.took = time.Since(began)
	if err != nil {
		return o, cause(ctx, err)
	}
	o.body = &stalling{body, ctx}
	return o, nil
}

// stalling is a body whose errors say that the store was silent, where that is so.
type stalling struct {
	io.ReadCloser
	ctx context.Context
}

func (s *stalling) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = cause(s.ctx, err)
	}
	return n, err
}

func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return err
}

// Read implements io.Reader.
func (o *object) Read(b []byte) (int, error) {
	began := time.Now()
	o.timer.Reset(o.left)
	n, err := o.body.Read(b)
	o.timer.Stop()
	took := time.Since(began)
	o.took += took
	o.left = max(o.left-took, time.Millisecond)
	if o.came += int64(n); o.came >= progress {
		o.left, o.came = stallTimeout, 0
	}
	return n, err
}

func (o *object) close() {
	o.timer.Stop()
	o.cancel()
	if o.body != nil {
		_ = o.body.Close()
	}
}

// buffers are for objects that are being read.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}

// cut reads the next left bytes of an object, and keeps the error of that.
type cut struct {
	from *bufio.Reader
	left int64
	err  error
}

var errEnded = errors.New("the object ends before the message does")

// Read implements io.Reader.
func (c *cut) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.from.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	if err == io.EOF {
		err = errEnded
	}
	if c.left > 0 {
		c.err = err
	}
	return n, c.err
}

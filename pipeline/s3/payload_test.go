package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestPayloadReads reads arbitrary pieces by reads of arbitrary size, twice.
func TestPayloadReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SliceOfN(rapid.Byte(), 0, 20)
		head, chunks := piece.Draw(t, "head"), rapid.SliceOfN(piece, 0, 5).Draw(t, "chunks")
		want := append(bytes.Clone(head), bytes.Join(chunks, nil)...)
		p := newPayload(head, chunks)
		for range 2 {
			var got []byte
			for {
				b := make([]byte, rapid.IntRange(1, 30).Draw(t, "read"))
				n, err := p.Read(b)
				got = append(got, b[:n]...)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || n == 0 {
					t.Fatalf("%d bytes, %v", n, err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("read %q, want %q", got, want)
			}
			if n, err := p.Seek(0, io.SeekStart); n != 0 || err != nil {
				t.Fatal(err)
			}
		}
		some := rapid.IntRange(0, len(want)).Draw(t, "some")
		if _, err := io.ReadFull(p, make([]byte, some)); err != nil {
			t.Fatal(err)
		}
		if whole := p.Revoke(); whole != (some == len(want)) {
			t.Fatalf("%d of %d read: whole is %v", some, len(want), whole)
		}
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, errRevoked) {
			t.Fatalf("read after Revoke: %v", err)
		}
	})
}

func TestPayloadSeeksToTheStartAlone(t *testing.T) {
	p := newPayload([]byte("x"), nil)
	if _, err := p.Seek(1, io.SeekStart); !errors.Is(err, errSeek) {
		t.Errorf("%v", err)
	}
	if _, err := p.Seek(0, io.SeekEnd); !errors.Is(err, errSeek) {
		t.Errorf("%v", err)
	}
}

// greedyConn is a connection to a store that answers a PUT after its header and some
// bytes, and goes on reading. It reads even after we have closed, as the kernel does with
// the bytes of a write call.
type greedyConn struct {
	net.Conn // nil: no other method is called
	answer   *strings.Reader
	answered chan struct{} // closed when enough was written
	closed   chan struct{}
	release  chan struct{} // closed by the test when it has the result

	mu    sync.Mutex
	taken []byte
	once  sync.Once
}

const enough = 256 << 10

func (c *greedyConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.taken = append(c.taken, b...)
	full := len(c.taken) >= enough
	c.mu.Unlock()
	if full {
		c.once.Do(func() { close(c.answered) })
		<-c.release // the next bytes are read when they are no longer ours
	}
	return len(b), nil
}

func (c *greedyConn) Read(b []byte) (int, error) {
	<-c.answered
	if n, err := c.answer.Read(b); err == nil {
		return n, nil
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *greedyConn) Close() error {
	close(c.closed)
	return nil
}

func (c *greedyConn) SetDeadline(time.Time) error      { return nil }
func (c *greedyConn) SetReadDeadline(time.Time) error  { return nil }
func (c *greedyConn) SetWriteDeadline(time.Time) error { return nil }

// scribbled reports whether bytes of the next owner were written.
func (c *greedyConn) scribbled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.IndexByte(c.taken, '#') >= 0
}

type resultPoster chan struct{}

func (d resultPoster) Post(*pipeline.Task) { close(d) }

// TestEarlyAnswer has the store answer while net/http still writes the body, and keep
// reading. After the result the bytes have another owner: none of them may reach the
// wire. A 200 that came so early is a failure.
func TestEarlyAnswer(t *testing.T) {
	for _, answer := range []string{"200 OK", "507 Insufficient Storage", "403 Forbidden"} {
		t.Run(answer, func(t *testing.T) {
			c := &greedyConn{
				answer:   strings.NewReader("HTTP/1.1 " + answer + "\r\nContent-Length: 2\r\n\r\nok"),
				answered: make(chan struct{}), closed: make(chan struct{}), release: make(chan struct{}),
			}
			dialled := 0
			s := mustOpen(t, Options{
				Endpoint: "store.invalid:80", Bucket: "mail", Region: "us-east-1",
				AccessKey: testAccess, SecretKey: testSecret, Concurrency: 1, failures: 3,
				dial: func(context.Context, string, string) (net.Conn, error) {
					if dialled++; dialled == 2 { // the first is Open's
						return c, nil
					}
					return nil, &net.OpError{Op: "dial", Err: errors.New("only one connection in this test")}
				},
			})
			m := porttest.NewMessage(bytes.Repeat([]byte("a"), 8<<20))
			result := make(resultPoster)
			m.Loop = result
			s.Put(m)
			<-result
			if m.Result.Err == nil {
				t.Error("a 200 before the end of the message was taken for success")
			}
			for _, chunk := range m.Body.Chunks() {
				copy(chunk, bytes.Repeat([]byte("#"), len(chunk)))
			}
			close(c.release)
			// There is no event to wait for. Without Revoke it happens at once.
			for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if c.scribbled() {
					t.Fatal("bytes were read after the result")
				}
			}
		})
	}
}

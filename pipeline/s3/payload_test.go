package s3

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/pipeline/porttest"
)

// TestPayloadReads reads any pieces by reads of any size, twice.
func TestPayloadReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octets := rapid.SliceOfN(rapid.Byte(), 0, 20)
		head, chunks := octets.Draw(t, "head"), rapid.SliceOfN(octets, 0, 5).Draw(t, "chunks")
		want := append(bytes.Clone(head), bytes.Join(chunks, nil)...)
		p := newPayload(head, chunks)
		for range 2 {
			var got []byte
			for {
				b := make([]byte, rapid.IntRange(1, 30).Draw(t, "read"))
				n, err := p.Read(b)
				got = append(got, b[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil || n == 0 {
					t.Fatalf("%d octets, %v", n, err)
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

// earlyServer answers PUT as soon as it has the header, and reads the body only
// after the test says so. What it read comes by the channel.
func earlyServer(t *testing.T, answer string) (address string, readOn chan struct{}, got chan []byte) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	readOn, got = make(chan struct{}), make(chan []byte, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 0, 4096)
				for one := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, one...) {
					if _, err := c.Read(one); err != nil {
						return
					}
				}
				if !bytes.HasPrefix(head, []byte(http.MethodPut)) {
					_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
					return
				}
				_, _ = io.WriteString(c, answer)
				<-readOn
				body, _ := io.ReadAll(c)
				got <- body
			}()
		}
	}()
	return listener.Addr().String(), readOn, got
}

// TestEarlyAnswer: the store answers while net/http still writes the body, and
// keeps reading. After the result the octets are somebody else's (porttest writes
// over them): none of those may reach the wire, and 200 is not believed.
func TestEarlyAnswer(t *testing.T) {
	for _, answer := range []string{"200 OK", "503 Service Unavailable", "403 Forbidden"} {
		t.Run(answer, func(t *testing.T) {
			address, readOn, got := earlyServer(t, "HTTP/1.1 "+answer+"\r\nContent-Length: 0\r\n\r\n")
			o := Options{Endpoint: address, Bucket: "mail", Region: "us-east-1", AccessKey: testAccess, SecretKey: testSecret, Concurrency: 1}
			s := openWithoutLook(t, o)
			body := strings.Repeat("a", 16<<20) // more than the sockets hold
			sent, err := porttest.Store(s, porttest.NewMessage([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			if sent.Err == nil {
				t.Error("an answer before the message was believed")
			}
			close(readOn)
			read := <-got
			if len(read) == 0 || len(read) >= len(body) {
				t.Errorf("%d octets reached the server; some, not all, were expected", len(read))
			}
			if i := bytes.IndexByte(read, '#'); i >= 0 {
				t.Errorf("octet %d was read after the result", i)
			}
		})
	}
}

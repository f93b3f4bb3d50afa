package testkit

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// SMTP is the client's end of an SMTP session in which a test sends every byte itself.
type SMTP struct {
	Conn net.Conn
	In   *bufio.Reader
	t    testing.TB
}

// NewSMTP returns a client on conn, which it closes at the end of the test.
func NewSMTP(t testing.TB, conn net.Conn) *SMTP {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &SMTP{Conn: conn, In: bufio.NewReader(conn), t: t}
}

// DialSMTP returns a client that is connected to the server at address.
func DialSMTP(t testing.TB, address string) *SMTP {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return NewSMTP(t, conn)
}

// Expect reads lines, each of which must begin with the given prefix.
func (c *SMTP) Expect(prefixes ...string) {
	c.t.Helper()
	for _, prefix := range prefixes {
		line, err := c.In.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, prefix) {
			c.t.Fatalf("got %q, %v, want %s", line, err, prefix)
		}
	}
}

// Begin advances from the greeting to the 354 of a transaction.
func (c *SMTP) Begin() {
	c.t.Helper()
	_, _ = io.WriteString(c.Conn, "HELO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	c.Expect("220", "250", "250", "250", "354")
}

// Package client is an SMTP sender that writes down what was promised: every 250
// after data with its id, and the size and digest of what it was given for.
package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Reply is what the server said, its lines without codes joined by "\n".
type Reply struct {
	Code int
	Text string
}

// Error lets a reply that was not hoped for travel as an error.
func (r *Reply) Error() string {
	return fmt.Sprintf("%d %s", r.Code, strings.ReplaceAll(r.Text, "\n", " / "))
}

// ErrUnanswered says that the connection ended after the final dot and before
// the reply: the message may have been taken or not (RFC 5321 §4.2.5 bids the
// client to send it again).
var ErrUnanswered = errors.New("no reply to the final dot")

// patience bounds the wait for one reply: RFC 5321 §4.5.3.2.6 grants ten minutes
// after the final dot, but no test waits longer than this.
const patience = 2 * time.Minute

// Conn is one SMTP session. It is for one goroutine.
type Conn struct {
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	gateway string // as it calls itself
	mail    *Mail  // of Begin
	begun   time.Time
}

// helo is what the client calls itself.
const helo = "client.example.org"

// Dial connects, reads the greeting and says EHLO.
func Dial(ctx context.Context, address string) (*Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return open(conn)
}

// DialTLS is Dial with TLS from the first byte on.
func DialTLS(ctx context.Context, address string, config *tls.Config) (*Conn, error) {
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return open(conn)
}

// open reads the greeting and says EHLO.
func open(conn net.Conn) (*Conn, error) {
	c := &Conn{conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriterSize(conn, 32<<10)}
	if err := c.expect(220); err != nil {
		conn.Close()
		return nil, err
	}
	if err := c.Greet(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Gateway is the name by which the server answered the last EHLO.
func (c *Conn) Gateway() string { return c.gateway }

// Greet says EHLO.
func (c *Conn) Greet() error {
	if err := c.Write("EHLO " + helo + "\r\n"); err != nil {
		return err
	}
	reply, err := c.ReadReply()
	if err != nil {
		return err
	}
	if reply.Code != 250 {
		return reply
	}
	c.gateway = strings.FieldsFunc(reply.Text+" ", unicode.IsSpace)[0]
	return nil
}

// Close ends the connection without a word.
func (c *Conn) Close() error { return c.conn.Close() }

// Quit takes leave and closes.
func (c *Conn) Quit() error {
	_, err := c.Leave()
	return err
}

// Leave takes leave, closes and returns the server's last word.
func (c *Conn) Leave() (farewell string, err error) {
	defer c.conn.Close()
	if err := c.Write("QUIT\r\n"); err != nil {
		return "", err
	}
	reply, err := c.ReadReply()
	switch {
	case err != nil:
		return "", err
	case reply.Code != 221:
		return "", reply
	}
	return reply.Text, nil
}

// Command sends a line and waits for its reply; one with another code than want
// is a *Reply as error.
func (c *Conn) Command(want int, line string) error {
	if err := c.Write(line + "\r\n"); err != nil {
		return err
	}
	return c.expect(want)
}

// Write sends bytes as they are.
func (c *Conn) Write(octets string) error {
	if _, err := c.out.WriteString(octets); err != nil {
		return err
	}
	return c.out.Flush()
}

func (c *Conn) expect(code int) error {
	reply, err := c.ReadReply()
	if err != nil {
		return err
	}
	if reply.Code != code {
		return reply
	}
	return nil
}

// ReadReply reads one reply of any number of lines (RFC 5321 §4.2.1).
func (c *Conn) ReadReply() (*Reply, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		if len(line) < 3 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
			return nil, fmt.Errorf("not a reply: %q", line)
		}
		code, err := strconv.Atoi(line[:3])
		if err != nil {
			return nil, fmt.Errorf("not a reply: %q", line)
		}
		lines = append(lines, strings.TrimLeft(line[3:], " -"))
		if len(line) == 3 || line[3] == ' ' {
			return &Reply{Code: code, Text: strings.Join(lines, "\n")}, nil
		}
	}
}

package smtptest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// ConnPeer plays a dialog over a connection.
type ConnPeer struct {
	conn    net.Conn
	in      *bufio.Reader
	timeout time.Duration
	// OnDirective executes directives. If it is nil, every directive is an error.
	OnDirective func(directive, args string) error
}

// Dial connects to the server at address (TCP, "host:port"). timeout bounds the dial and
// then each single wait for a reply or for the end of the connection.
func Dial(address string, timeout time.Duration) (*ConnPeer, error) {
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return nil, err
	}
	return NewConnPeer(conn, timeout), nil
}

// NewConnPeer returns a peer that plays over conn and owns it from now on.
func NewConnPeer(conn net.Conn, timeout time.Duration) *ConnPeer {
	return &ConnPeer{conn: conn, in: bufio.NewReader(conn), timeout: timeout}
}

// Close closes the connection.
func (p *ConnPeer) Close() error { return p.conn.Close() }

// Send writes octets to the server.
func (p *ConnPeer) Send(octets []byte) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	_, err := p.conn.Write(octets)
	if isGone(err) {
		return nil // see Peer.Send
	}
	return err
}

// ReadLine waits for the next line from the server.
func (p *ConnPeer) ReadLine() (string, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(p.timeout)); err != nil {
		return "", err
	}
	text, err := p.in.ReadString('\n')
	switch line, ok := strings.CutSuffix(text, "\r\n"); {
	case ok:
		return line, nil
	case err == nil:
		return "", fmt.Errorf("line %q ends without a CR", text)
	case text != "":
		return "", fmt.Errorf("line %q is incomplete: %w", text, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", ErrNoReply
	case isGone(err):
		return "", io.EOF
	default:
		return "", err
	}
}

// Pending returns a line that has already been received. It does not see a line that is
// still in flight; that one meets the next wait for a reply, or for the end.
func (p *ConnPeer) Pending() (line string, ok bool) {
	if p.in.Buffered() == 0 {
		return "", false
	}
	line, err := p.ReadLine()
	if err != nil {
		line = err.Error()
	}
	return line, true
}

// Closed waits for the end of the connection.
func (p *ConnPeer) Closed() error {
	line, err := p.ReadLine()
	switch {
	case err == nil:
		return surplusError(line)
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(err, ErrNoReply):
		return errors.New("the server did not close")
	}
	return err
}

// Do passes a directive on to OnDirective.
func (p *ConnPeer) Do(directive, args string) error {
	if p.OnDirective == nil {
		return errors.New("directives are not supported over this connection")
	}
	return p.OnDirective(directive, args)
}

// End half-closes the connection and waits until the server closes. A line that the
// server sends before that is a surplus reply.
func (p *ConnPeer) End() (line string, ok bool, err error) {
	half, canHalf := p.conn.(interface{ CloseWrite() error })
	if !canHalf {
		return "", false, p.conn.Close()
	}
	if err := half.CloseWrite(); err != nil && !isGone(err) && !errors.Is(err, syscall.ENOTCONN) {
		return "", false, err
	}
	line, err = p.ReadLine()
	switch {
	case err == nil:
		return line, true, nil
	case errors.Is(err, io.EOF):
		return "", false, nil
	case errors.Is(err, ErrNoReply):
		return "", false, errors.New("the server did not close after the client did")
	}
	return "", false, err
}

// isGone reports whether err means that the peer has closed or reset the connection.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

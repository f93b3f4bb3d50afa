package tlscodec

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// A record begins with a header of five octets, of which the last two are the length of
// what follows (RFC 8446 §5.1).
const (
	headerLen = 5
	// maxText is the most text that a record has.
	maxText = 1 << 14
)

// recordLen returns the length of the first record in in, whole or not. It is
// headerLen+1 at least while the header is not whole.
func recordLen(in []byte) int {
	if len(in) < headerLen {
		return headerLen + 1
	}
	return headerLen + int(binary.BigEndian.Uint16(in[3:]))
}

// memory is what crypto/tls takes for a connection: records that have come, and records
// that are to be sent.
type memory struct {
	in     []byte // not read by crypto/tls
	record int    // octets of in that belong to a record whose begin was read
	out    []byte // written by crypto/tls, not flushed
	limit  int    // octets that the handshake may yet read

	exchange func(out []byte) (in []byte, err error) // during the handshake
}

// noInput is the error for a read where there is nothing. crypto/tls does not keep an error
// that is temporary.
type noInput struct{}

func (noInput) Error() string   { return "tls: no input" }
func (noInput) Timeout() bool   { return true }
func (noInput) Temporary() bool { return true }

var errNoInput net.Error = noInput{}

// Read implements net.Conn. It reads up to the end of a record at most. crypto/tls asks for
// as much as it has room for, and would take a part of the next record too.
func (m *memory) Read(p []byte) (int, error) {
	if len(m.in) == 0 {
		if m.exchange == nil {
			return 0, errNoInput
		}
		in, err := m.exchange(m.out)
		m.out = nil
		if err == nil && len(in) == 0 {
			err = io.EOF
		}
		if err != nil {
			return 0, err
		}
		m.in, m.record = in, 0
	}
	if m.record == 0 {
		m.record = recordLen(m.in)
	}
	n := copy(p, m.in[:min(m.record, len(m.in))])
	m.in, m.record = m.in[n:], m.record-n
	if m.exchange != nil {
		if m.limit -= n; m.limit < 0 {
			return 0, errHandshakeTooLong
		}
	}
	return n, nil
}

// Write implements net.Conn.
func (m *memory) Write(p []byte) (int, error) {
	m.out = append(m.out, p...)
	return len(p), nil
}

// Close implements net.Conn. crypto/tls calls it, on any goroutine, when the context of the
// handshake ends; then the exchange ends too.
func (*memory) Close() error { return nil }

// LocalAddr implements net.Conn.
func (*memory) LocalAddr() net.Addr { return nowhere{} }

// RemoteAddr implements net.Conn.
func (*memory) RemoteAddr() net.Addr { return nowhere{} }

// SetDeadline implements net.Conn. Nothing here waits.
func (*memory) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (*memory) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (*memory) SetWriteDeadline(time.Time) error { return nil }

// nowhere is the address of either end.
type nowhere struct{}

func (nowhere) Network() string { return "memory" }
func (nowhere) String() string  { return "memory" }

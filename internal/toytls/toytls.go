// Package toytls is a record layer of the shape of TLS, for tests that need to know each
// byte: handshakes of two flights, records with a number and a checksum, key updates that
// want an answer, and close_notify. It protects nothing.
package toytls

import (
	"encoding/binary"
	"errors"
	"io"

	"sluice/codec"
)

// Types of records, as TLS has them.
const (
	typeAlert     = 21
	typeHandshake = 22
	typeText      = 23
)

// maxText is the most text in a record.
const maxText = 1 << 14

// What a sealed record holds.
const (
	kindText = iota
	kindClose
	kindUpdate       // asks for an answer
	kindUpdateAnswer // to that
	kindAlert
)

// Errors of a peer that breaks the rules.
var (
	ErrRecord    = errors.New("toytls: bad record")
	ErrHandshake = errors.New("toytls: bad handshake")
	ErrAlert     = errors.New("toytls: the peer sent an alert")
)

// overhead is what a sealed record has beside its text.
const overhead = 5 + 1 + 4 + 1

func record(dst []byte, kind byte, payload []byte) []byte {
	dst = append(dst, kind, 3, 3)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	return append(dst, payload...)
}

// half is one direction of a connection.
type half struct {
	key    byte
	number uint32
}

// Layer is the record layer of one side behind the handshake.
type Layer struct {
	in, out half
	pending []byte // records to be sent
	early   []byte // records that came with the last of the handshake
	ended   error
}

func newLayer(nonce byte, server bool) *Layer {
	l := &Layer{in: half{key: nonce}, out: half{key: ^nonce}}
	if server {
		l.in, l.out = l.out, l.in
	}
	return l
}

// seal appends one record.
func (l *Layer) seal(dst []byte, kind byte, text []byte) []byte {
	at := len(dst)
	dst = append(dst, typeText, 3, 3)
	dst = binary.BigEndian.AppendUint16(dst, uint16(overhead-5+len(text)))
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint32(dst, l.out.number)
	for _, c := range text {
		dst = append(dst, c^l.out.key)
	}
	dst = append(dst, sum(dst[at+5:], l.out.key))
	l.out.number++
	return dst
}

func sum(p []byte, key byte) byte {
	s := key
	for _, c := range p {
		s = s<<1 | s>>7
		s += c
	}
	return s
}

// Seal appends text as records.
func (l *Layer) Seal(wire, text []byte) []byte {
	wire = l.Flush(wire)
	for len(text) > 0 {
		n := min(len(text), maxText)
		wire = l.seal(wire, kindText, text[:n])
		text = text[n:]
	}
	return wire
}

// Flush appends what the layer itself has to send.
func (l *Layer) Flush(wire []byte) []byte {
	wire = append(wire, l.pending...)
	l.pending = nil
	return wire
}

// Close appends close_notify.
func (l *Layer) Close(wire []byte) []byte { return l.seal(l.Flush(wire), kindClose, nil) }

// Update appends a key update that asks for an answer.
func (l *Layer) Update(wire []byte) []byte {
	wire = l.seal(l.Flush(wire), kindUpdate, nil)
	l.out.key++
	return wire
}

// Open appends the text of one whole record to dst. Without a record it takes those that
// came with the last of the handshake. The error is io.EOF after close_notify.
func (l *Layer) Open(dst, wire []byte) ([]byte, error) {
	if len(wire) == 0 {
		wire, l.early = l.early, nil
	}
	for len(wire) > 0 && l.ended == nil {
		n, ok := codec.TLSRecord(wire)
		if !ok || n == 0 {
			l.fail(ErrRecord)
			break
		}
		dst = l.open(dst, wire[:n])
		wire = wire[n:]
	}
	return dst, l.ended
}

func (l *Layer) open(dst, wire []byte) []byte {
	body := wire[5:]
	if wire[0] != typeText || len(body) < overhead-5 || sum(body[:len(body)-1], l.in.key) != body[len(body)-1] ||
		binary.BigEndian.Uint32(body[1:]) != l.in.number {
		l.fail(ErrRecord)
		return dst
	}
	l.in.number++
	switch body[0] {
	case kindText:
		for _, c := range body[5 : len(body)-1] {
			dst = append(dst, c^l.in.key)
		}
	case kindClose:
		l.ended = io.EOF
	case kindUpdate:
		l.in.key++
		l.pending = l.seal(l.pending, kindUpdateAnswer, nil)
		l.out.key++
	case kindUpdateAnswer:
		l.in.key++
	default:
		l.ended = ErrAlert
	}
	return dst
}

// fail ends the layer and leaves an alert to be sent.
func (l *Layer) fail(err error) {
	l.ended = err
	l.pending = l.seal(l.pending, kindAlert, nil)
}

// Flights of the handshake.
var (
	hello    = []byte("client hello")
	answer   = []byte("server hello")
	finished = []byte("client finished")
)

// Server is the server's side of a handshake.
type Server struct {
	nonce byte
	begun bool
}

// Take takes whole records and returns what is to be sent. The layer is not nil once the
// handshake is done.
func (s *Server) Take(in []byte) (out []byte, layer *Layer, err error) {
	for len(in) > 0 {
		n, ok := codec.TLSRecord(in)
		if !ok || n == 0 || in[0] != typeHandshake {
			return alert(), nil, ErrHandshake
		}
		body := in[5:n]
		in = in[n:]
		switch {
		case !s.begun && len(body) == len(hello)+1 && string(body[:len(hello)]) == string(hello):
			s.begun, s.nonce = true, body[len(hello)]
			out = record(out, typeHandshake, answer)
		case s.begun && string(body) == string(finished):
			layer = newLayer(s.nonce, true)
			layer.early = append([]byte(nil), in...)
			return out, layer, nil
		default:
			return alert(), nil, ErrHandshake
		}
	}
	return out, nil, nil
}

func alert() []byte { return record(nil, typeAlert, []byte{2, 40}) }

// Client is the client's side of a connection.
type Client struct {
	*Layer // nil before the handshake is done
	nonce  byte
	wire   []byte // not whole yet
}

// NewClient returns a client, and what it sends first.
func NewClient(nonce byte) (c *Client, out []byte) {
	return &Client{nonce: nonce}, record(nil, typeHandshake, append(append([]byte(nil), hello...), nonce))
}

// Take takes what has come. It returns the text in it, and what is to be sent.
func (c *Client) Take(in []byte) (text, out []byte, err error) {
	c.wire = append(c.wire, in...)
	for {
		n, ok := codec.TLSRecord(c.wire)
		switch {
		case !ok:
			return text, out, ErrRecord
		case n == 0:
			return text, out, nil
		}
		whole := c.wire[:n:n]
		c.wire = c.wire[n:]
		switch {
		case c.Layer != nil:
			if text, err = c.Open(text, whole); err != nil {
				return text, out, err
			}
			out = c.Flush(out)
		case whole[0] == typeHandshake && string(whole[5:]) == string(answer):
			c.Layer = newLayer(c.nonce, false)
			out = record(out, typeHandshake, finished)
		default:
			return text, out, ErrHandshake
		}
	}
}

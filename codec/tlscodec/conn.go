// Package tlscodec is the record layer of TLS for the server's end of a connection:
// records to octets and back, by crypto/tls, without a socket or a goroutine of its own.
//
// crypto/tls reads from a connection and blocks. Here it reads from memory. Where it finds
// nothing there after the handshake, it gets an error that it calls temporary and does not
// keep, so that it goes on with the next record. It is handed whole records one by one,
// and so never holds half of one. A handshake cannot be resumed like that; it blocks the
// goroutine that runs it.
package tlscodec

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"slices"
)

// Conn is the record layer of one connection. It is for one goroutine at a time: first
// the one that runs the handshake, then the one that opens and seals.
type Conn struct {
	tls    *tls.Conn
	memory memory
	err    error  // of Open: the first one holds
	unread []byte // records that the handshake was given and did not need
	silent int    // octets of records without text since the last one with text
	unpaid int    // records without text, of which each textForRecord octets of text pay for one
	paid   int    // octets of text that have not paid for a record yet
}

// New returns the record layer of a connection before its handshake.
func New(config *tls.Config) *Conn {
	c := &Conn{}
	c.memory.limit = maxHandshake
	if config.ClientAuth != tls.NoClientCert {
		c.memory.limit += maxCertificates
	}
	c.tls = tls.Server(&c.memory, config)
	return c
}

// Limits in octets.
const (
	// maxHandshake bounds the records of a handshake. crypto/tls bounds each message, but
	// takes it in any number of pieces. A client sends less than 4 KiB.
	maxHandshake = 64 << 10
	// maxCertificates is added to it where clients are asked for certificates.
	maxCertificates = 64 << 10
	// maxSilent bounds what comes without text between two records with text, such as a
	// message of the handshake's protocol that is never completed and that crypto/tls would
	// keep up to 256 KiB of. It leaves room for one record that is padded to the largest size.
	maxSilent = 20 << 10
	// maxUnpaid bounds the records without text that text has not paid for. A KeyUpdate is
	// one: 27 octets that cost as much CPU time as 20 KiB of text, twice that when it asks
	// for one in return. Clients send one after 2^24 records.
	maxUnpaid = 64
	// textForRecord is the octets of text that pay for a record without.
	textForRecord = 1 << 10
)

// The errors of a peer that goes over the limits, and of a caller that breaks the rules.
var (
	errHandshakeTooLong = errors.New("tls: handshake over its limit")
	errTooSilent        = errors.New("tls: too many records without application data")
	errNotOneRecord     = errors.New("tls: not one whole record")
)

// Handshake runs the handshake. It blocks, so it is not for an event loop.
//
// exchange is called when more input is needed, with what is to be sent to the peer first;
// out is the caller's then. It returns the next input, one whole record or several. That
// belongs to the Conn until the next call. An error of exchange ends the handshake.
//
// Output that is left at the end, such as tickets or an alert, is for Flush. Input that is
// left, because the peer did not wait for the end, is for the first Open.
func (c *Conn) Handshake(ctx context.Context, exchange func(out []byte) (in []byte, err error)) error {
	c.memory.exchange = exchange
	err := c.tls.HandshakeContext(ctx)
	c.memory.exchange = nil
	left := c.memory.in
	c.memory.in = nil
	if err != nil {
		c.err = err
		return err
	}
	c.unread = bytes.Clone(left)
	c.dropBuffers()
	return nil
}

// State returns what was agreed in the handshake.
func (c *Conn) State() tls.ConnectionState { return c.tls.ConnectionState() }

// Open appends the text of one whole record to dst. A record may have none. Without a
// record, Open takes what the handshake was given and did not need; the first call should
// be such a one. The error is io.EOF after close_notify. After an error all calls have
// that error, and Flush may have an alert to send.
func (c *Conn) Open(dst, record []byte) (text []byte, err error) {
	for len(c.unread) > 0 && c.err == nil {
		n := min(recordLen(c.unread), len(c.unread))
		dst = c.open(dst, c.unread[:n])
		c.unread = c.unread[n:]
	}
	if len(record) > 0 && c.err == nil {
		dst = c.open(dst, record)
	}
	return dst, c.err
}

// open opens one record and notes its error.
func (c *Conn) open(dst, record []byte) []byte {
	if recordLen(record) != len(record) {
		c.err = errNotOneRecord
		return dst
	}
	// The text is shorter than its record, so that one Read takes all of it.
	dst = slices.Grow(dst, min(len(record)-headerLen+1, maxText))
	c.memory.in, c.memory.record = record, len(record)
	lent := c.lend()
	n, err := c.tls.Read(dst[len(dst):cap(dst)])
	c.takeBack(lent)
	c.memory.in = nil
	if !c.pays(n, len(record)) && errors.Is(err, errNoInput) {
		err = errTooSilent
	}
	if !errors.Is(err, errNoInput) {
		c.err = err
	}
	return dst[:len(dst)+n]
}

// pays notes a record of so many octets with so many of text, and reports whether there is
// text enough for those without.
func (c *Conn) pays(text, record int) bool {
	if text == 0 {
		c.silent += record
		c.unpaid++
		return c.silent <= maxSilent && c.unpaid <= maxUnpaid
	}
	c.silent = 0
	c.paid += text
	c.unpaid = max(0, c.unpaid-c.paid/textForRecord)
	c.paid %= textForRecord
	return true
}

// Flush appends what the record layer itself has to send: what the handshake left, alerts,
// and answers to KeyUpdate. It belongs before all that is sealed later.
func (c *Conn) Flush(wire []byte) []byte {
	wire = append(wire, c.memory.out...)
	c.memory.out = nil
	return wire
}

// Seal appends text as records, behind what Flush has. After Close, or after an alert that
// ended the connection, nothing may be sent, and text is dropped.
func (c *Conn) Seal(wire, text []byte) []byte {
	c.memory.out = c.Flush(wire)
	_, _ = c.tls.Write(text) // to memory: it fails when nothing may be sent
	wire, c.memory.out = c.memory.out, nil
	return wire
}

// Close appends close_notify, behind what Flush has. After an alert that ended the
// connection it appends only that.
func (c *Conn) Close(wire []byte) []byte {
	c.memory.out = c.Flush(wire)
	if c.err == nil || errors.Is(c.err, io.EOF) {
		_ = c.tls.CloseWrite() // to memory: it cannot fail
	}
	wire, c.memory.out = c.memory.out, nil
	return wire
}

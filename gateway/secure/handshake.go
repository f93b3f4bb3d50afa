package secure

import (
	"crypto/tls"
	"net/netip"

	"sluice/pipeline"
)

// Handshake is one TLS handshake. It belongs to its loop, or to the Pool, in turn, and goes
// to and fro until it is done.
type Handshake struct {
	pipeline.Task                 // takes it home
	Home          pipeline.Poster // its loop
	Client        netip.Addr      // who is counted
	In            []byte          // whole records that have come; the next ones replace them
	Out           []byte          // records to be sent; the loop takes them
	Gone          bool            // nobody waits for it any more
	Done          bool
	Records       Records              // when it has succeeded
	State         *tls.ConnectionState // what was agreed then
	Cause         Cause                // when it has failed
	Err           error

	// Private belongs to the Pool.
	Private any
}

// Records is the record layer of a connection behind its handshake. It is for the loop of
// the connection.
type Records interface {
	// Open appends the text of one whole record to dst. A record of length 0 brings what
	// the handshake had read and not used. The error is io.EOF after close_notify.
	Open(dst, record []byte) (text []byte, err error)
	// Flush appends the records that the layer itself has to send: answers and alerts.
	Flush(wire []byte) []byte
	// Seal appends text as records.
	Seal(wire, text []byte) []byte
	// Close appends close_notify.
	Close(wire []byte) []byte
}

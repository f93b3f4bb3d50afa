package driver

// stream is the bytes of one connection, in both directions. It is the only user of
// Socket. Behind a TLS handshake what it reads and writes are records: tls opens and
// seals them.
type stream struct {
	socket Socket
	tls    *secured // nil for plain text
}

// input returns the bytes that have come and were not discarded: text, or records. They
// are valid until discard or the end of the callback.
func (s *stream) input() []byte { return s.socket.Input() }

// unread returns the number of bytes that have come and that the session has not taken:
// those of input, and text of records that were opened.
func (s *stream) unread() int {
	n := len(s.socket.Input())
	if s.tls != nil {
		n += len(s.tls.text)
	}
	return n
}

// discard drops the first n bytes of the input. n may be 0.
func (s *stream) discard(n int) {
	if n > 0 {
		s.socket.Discard(n)
	}
}

// dropInput drops all that is unread.
func (s *stream) dropInput() {
	if s.tls != nil {
		s.tls.text = nil
	}
	s.discard(len(s.socket.Input()))
}

// write writes as much of p as the kernel takes now.
func (s *stream) write(p []byte) (n int, err error) { return s.socket.Write(p) }

// closeWrite sends the end of our stream and leaves the other half open.
func (s *stream) closeWrite() { s.socket.CloseWrite() }

// pause stops reading. After an error the connection goes on as before.
func (s *stream) pause() error { return s.socket.Pause() }

// resume ends a pause. An error means that the connection is broken.
func (s *stream) resume() error { return s.socket.Resume() }

// dropUnsent has close drop what the client did not read.
func (s *stream) dropUnsent() { s.socket.DropUnsent() }

// close ends the connection.
func (s *stream) close() { s.socket.Close() }

package driver

// stream is the bytes of one connection, in both directions. It is the only user of
// Socket, so that a stage between the socket and the session, such as TLS, has one
// place.
type stream struct {
	socket Socket
}

// input returns the bytes that have come and were not discarded. They are valid until
// discard or the end of the callback.
func (s *stream) input() []byte { return s.socket.Input() }

// unread returns the number of bytes of input.
func (s *stream) unread() int { return len(s.socket.Input()) }

// discard drops the first n bytes of the input. n may be 0.
func (s *stream) discard(n int) {
	if n > 0 {
		s.socket.Discard(n)
	}
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

// Package driver holds connections: it turns what a reactor tells it into
// session events and carries out what sessions want. Each Loop belongs to one
// thread of the reactor and is deterministic: its clock, its random numbers and
// its sockets are ports, so that a simulator can drive the same code.
package driver

import (
	"time"

	"sluice/pipeline"
)

// Socket is one connection of the reactor. Its methods are called on the loop
// that owns it. After Close it does nothing: the reactor guards against a
// descriptor that the kernel has given to somebody else meanwhile.
type Socket interface {
	// Input gives all octets that have come and were not discarded; valid until
	// Discard or the end of the callback.
	Input() []byte
	// Discard drops the first n octets of Input, 0 < n <= len(Input()).
	Discard(n int)
	// Write writes what the kernel takes now. n < len(p) without an error
	// says that the kernel's buffer is full.
	Write(p []byte) (n int, err error)
	// Pause stops reading, so that what the client sends stays with the kernel and
	// then with the client. What was read stays in Input. An error says that the
	// connection goes on as before. A client that resets is not noticed meanwhile.
	Pause() error
	// Resume reads on after Pause. Loop.Traffic is called when the connection is back,
	// Loop.Closed when it broke meanwhile. An error says that it is broken.
	Resume() error
	// CloseWrite sends the end of our stream and leaves the other half open.
	CloseWrite()
	// Close ends the connection. Closed is not called for it.
	Close()
}

// Random is the port for randomness, one for each loop.
type Random = pipeline.Random

// Clock is the port for time. Times carry a monotonic reading.
type Clock interface {
	Now() time.Time
}

// Waker makes the reactor call Loop.Run soon, from any goroutine.
type Waker interface {
	Wake()
}

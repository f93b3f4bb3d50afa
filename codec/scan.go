package codec

// lineScan is what scanLines carries along.
type lineScan struct {
	// line is the length of the current line so far, longest that of the
	// longest line that has ended; see BodyDecoder.
	line, longest int
	// odd is set when an octet was NUL or above 127.
	odd bool
}

// scanBlock is the number of octets that scanLines takes at a time.
const scanBlock = 64

// scanMost is the most that one scan looks at: it cannot be pre-empted, so it
// should end within microseconds.
const scanMost = 64 << 10

package codec

// lineScan is the state that scanLines reads and updates.
type lineScan struct {
	// line is the length of the current line so far and longest the length of the longest
	// line that has ended; see BodyDecoder.
	line, longest int
	// odd is set if an octet was NUL or above 127.
	odd bool
}

// scanBlock is the number of octets that scanLines processes at a time.
const scanBlock = 64

// scanMost is the most that one scan processes. A scan cannot be preempted, so it should
// end within microseconds.
const scanMost = 64 << 10

//go:build race

package tlscodec

// raceEnabled reports whether the race detector is on. A sync.Pool then drops at random
// what it is given.
const raceEnabled = true

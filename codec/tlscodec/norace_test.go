//go:build !race

package tlscodec

// raceEnabled reports whether the race detector is on.
const raceEnabled = false

//go:build race

package reactor

// raceEnabled reports whether the race detector is on, which multiplies memory.
const raceEnabled = true

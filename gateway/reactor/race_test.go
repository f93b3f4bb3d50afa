//go:build race

package reactor

// raceEnabled: the race detector multiplies memory.
const raceEnabled = true

//go:build race

package dkim_test

// mega is a million bytes of a hostile body. Under the race detector, which makes our own
// loops slow and not the hash, a sixteenth says as much, and only work that is not linear
// exceeds the bound.
const (
	mega  = 1 << 16
	bound = 1000
)

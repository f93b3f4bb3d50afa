//go:build !race

package dkim_test

// mega is a million bytes of a hostile body, bound how many times a hash one may cost.
const (
	mega  = 1 << 20
	bound = 30
)

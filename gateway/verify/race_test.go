//go:build race

package verify_test

// hostileSize is the size of a hostile header. The race detector makes our loops slow and
// not the hash; a shorter one shows as well whether work is linear.
const hostileSize = 32 << 10

//go:build race

package content

// hostileSize is the size of a hostile message, in KiB. The race detector makes our loops
// slow; a smaller one shows as well whether work is linear.
const hostileSize = 512

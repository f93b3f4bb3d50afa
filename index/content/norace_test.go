//go:build !race

package content

// hostileSize is the size of a hostile message, in KiB.
const hostileSize = 2048

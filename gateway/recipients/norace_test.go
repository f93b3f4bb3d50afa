//go:build !race

package recipients

// million is the size of a large list.
const million = 1_000_000

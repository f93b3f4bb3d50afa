//go:build race

package recipients

// million is the size of a large list. Under the race detector a tenth says as much.
const million = 100_000

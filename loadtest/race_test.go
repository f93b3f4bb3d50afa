//go:build race

package main

// The gateway under test is built as its tests are: a data race in it is found
// under real load, too.
var buildFlags = []string{"-race"}

// raceMemory is how many times the memory of a gateway the race detector makes of it.
const raceMemory = 10

//go:build race

package main

// The gateway under test is built as its tests are: a data race in it is found
// under real load, too.
var buildFlags = []string{"-race"}

//go:build !race

package main

var buildFlags []string

const raceMemory = 1

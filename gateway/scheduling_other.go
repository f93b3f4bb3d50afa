//go:build !linux

package main

// batchThreads does nothing where there is no such class.
func batchThreads() error { return nil }

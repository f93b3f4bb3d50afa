//go:build !linux

package server

// batchThreads does nothing: this system has no such class.
func batchThreads() error { return nil }

//go:build !linux

package server

// batchThreads does nothing where there is no such class.
func batchThreads() error { return nil }

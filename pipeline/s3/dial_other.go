//go:build !linux

package s3

import "syscall"

// limitUnacknowledged does nothing: TCP_USER_TIMEOUT is Linux's.
func limitUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }

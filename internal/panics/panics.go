// Package panics recovers the goroutines that are not event loops. A panic in one is
// counted, logged with its stack, and returned as the error of what it was about. Without
// it the panic would end the process and cut every session.
//
// It cannot help where a panic is not ours to recover: in a goroutine of a client library,
// and for what Go calls a fatal error, such as a concurrent write to a map.
package panics

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// Place is the kind of goroutine that panicked: a bounded metric label.
type Place string

// The places.
const (
	Store     Place = "store"     // workers of the object store, and what it does beside them
	Pack      Place = "pack"      // workers that fill and send packs
	Publish   Place = "publish"   // encoding and publishing events
	Log       Place = "events"    // what the event log does beside publishing
	Embedded  Place = "embedded"  // retention of the broker in the process
	Monitor   Place = "monitor"   // measuring, probing and reading the lag
	Admin     Place = "admin"     // the pages of the admin server
	Accept    Place = "accept"    // accepting connections
	Ticker    Place = "ticker"    // asking the loops to advance their timers
	MailLog   Place = "log"       // writing the log
	TLS       Place = "tls"       // reading certificates anew
	Process   Place = "process"   // start and end of the process
	Handshake Place = "handshake" // TLS handshakes
	Identity  Place = "identity"  // finding out who a client is
	Resolve   Place = "resolve"   // asking DNS servers
	Verify    Place = "verify"    // verifying messages
	Index     Place = "index"     // filling the index
)

// Places returns every place.
func Places() []Place {
	return slices.Clone([]Place{
		Store, Pack, Publish, Log, Embedded, Monitor, Admin, Accept, Ticker, MailLog, TLS,
		Process, Handshake, Identity, Resolve, Verify, Index,
	})
}

// report receives each panic. There is one for the process, because a panic concerns the
// process, wherever the goroutine came from.
var report atomic.Pointer[func(at Place, reason any, stack []byte)]

// Notify sets the function that counts and logs a panic. It is called on the goroutine
// that panicked and must not block. Without one, panics go to standard error.
func Notify(f func(at Place, reason any, stack []byte)) { report.Store(&f) }

// Recover ends a panic, if there is one, and sets err to it. err may be nil. Recover must
// be deferred itself: defer panics.Recover(at, &err).
func Recover(at Place, err *error) {
	reason := recover()
	if reason == nil {
		return
	}
	stack := debug.Stack()
	if f := report.Load(); f != nil {
		(*f)(at, reason, stack)
	} else {
		fmt.Fprintf(os.Stderr, "panic in %s: %v\n%s", at, reason, stack)
	}
	if err != nil {
		*err = fmt.Errorf("panic in %s: %v", at, reason)
	}
}

// Try calls f and returns its error, or its panic as an error.
func Try(at Place, f func() error) (err error) {
	defer Recover(at, &err)
	return f()
}

// rest is the time between a panic and the next run of Keep. It bounds how often a
// goroutine panics that does so at once.
const rest = 100 * time.Millisecond

// Keep runs f until it returns. After a panic it runs f again.
func Keep(at Place, f func()) {
	again := func() error { f(); return nil }
	for Try(at, again) != nil {
		time.Sleep(rest)
	}
}

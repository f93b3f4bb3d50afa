package server

import "runtime"

// countLoops returns the number of event loops for the runtime's processors, and the
// number of processors that the runtime must then have.
//
// A loop that waits in epoll_wait keeps a processor of the runtime until the runtime's
// monitor takes it away. With as many loops as processors, none would be left to wait for
// the answers of the store and the broker. Only the monitor would look for these, every
// 10 ms, and each would take so long. Half of a message's CPU time is spent outside the
// loops (hashes, HTTP, Kafka), so half of the processors is kept for that.
func countLoops(processors int) (loops, needed int) {
	loops = max(processors/2, 1)
	return loops, max(processors, loops+1)
}

// reserveLoops counts the loops and sees to the processors. It leaves the runtime's
// own count alone where that is enough, as it then follows the control group's limit.
func reserveLoops() int {
	processors := runtime.GOMAXPROCS(0)
	loops, needed := countLoops(processors)
	if needed > processors {
		runtime.GOMAXPROCS(needed)
	}
	return loops
}

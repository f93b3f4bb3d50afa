package server

import "runtime"

// countLoops gives the number of event loops, and of processors that the runtime
// must then have, for those that it has.
//
// A loop that waits in epoll_wait keeps a processor of the runtime to itself until
// its monitor takes it away. With as many loops as processors nobody is left to
// wait for the store's and the broker's answers: the monitor looks for them every
// 10 ms, and so long everything takes. Half of a message's processor time is spent
// outside the loops (hashes, HTTP, Kafka), so half of the processors is theirs.
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

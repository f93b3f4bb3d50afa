package server

import "runtime"

// countLoops returns the number of event loops on a machine with this many processors,
// and the value of GOMAXPROCS that they need.
//
// A loop that waits in epoll_wait holds one of the runtime's processors (P) until sysmon
// retakes it. If there were as many loops as processors, no thread would be left to wait
// for the replies of store and broker. sysmon polls the network only every 10 ms, and
// every reply would take that long. Half of a message's CPU time is spent outside the
// loops (hashes, HTTP, Kafka), so half of the processors are left for that.
func countLoops(processors int) (loops, needed int) {
	loops = max(processors/2, 1)
	return loops, max(processors, loops+1)
}

// reserveLoops returns the number of loops and raises GOMAXPROCS if they need it. It
// leaves GOMAXPROCS alone if that is enough, since it then follows the limit of the
// control group.
func reserveLoops() int {
	processors := runtime.GOMAXPROCS(0)
	loops, needed := countLoops(processors)
	if needed > processors {
		runtime.GOMAXPROCS(needed)
	}
	return loops
}

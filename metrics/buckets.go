package metrics

// Upper bounds of the histogram buckets, in seconds unless stated.
var (
	// stageBuckets range from a write into the page cache (0.5 ms) to the longest time
	// from the final dot to the reply (timeouts.message, 5 min). 60 s is the default of
	// timeouts.store.
	stageBuckets = []float64{
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30, 60, 120, 300,
	}
	// sessionBuckets range from one message on a connection of its own to a connection
	// kept for hours.
	sessionBuckets = []float64{0.005, 0.05, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400}
	// creditBuckets include timeouts.credit (90 s) and end at the two minutes that a
	// sender waits for the 354 (RFC 5321 §4.5.3.2.4).
	creditBuckets = []float64{0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 90, 120}
	// dnsBuckets range from an answer that the server has in its cache to dns.timeout (3 s)
	// for each of several servers.
	dnsBuckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 6, 10, 30}
	// packWaitBuckets begin low: a message that waits for a lane waits for one earlier
	// request. Beyond that, the wait is as slow as the store.
	packWaitBuckets = []float64{0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 30, 60}
	// packBuckets count messages, up to store.pack.max_messages; packOctetBuckets count
	// bytes, up to store.pack.max_bytes.
	packBuckets      = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096}
	packOctetBuckets = []float64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20}
	// foundBuckets range from a lone message on an idle machine to a backlog of days.
	foundBuckets = []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 604800}
	// loopBuckets: a loop that responds within 1 ms is healthy, and clients notice more
	// than 100 ms.
	loopBuckets = []float64{0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
)

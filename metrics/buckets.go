package metrics

// Upper bounds of the histograms, in seconds.
var (
	// From a write that a page cache takes (0.5 ms) to the longest time that a
	// message may take from final dot to answer (timeouts.message, 5 min).
	// 60 s is the default of timeouts.store.
	stepBuckets = []float64{
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30, 60, 120, 300,
	}
	// From one mail on a connection of its own to a connection kept for hours.
	sessionBuckets = []float64{0.005, 0.05, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400}
	// Up to timeouts.credit: 90 s, and below the sender's two minutes for 354
	// (RFC 5321 §4.5.3.2.4).
	creditBuckets = []float64{0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 90, 120}
	// What waits for a lane waits for one request before it; then it is as slow as
	// the store is.
	packWaitBuckets = []float64{0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 10, 30, 60}
	// Messages, up to store.pack.max_messages, and octets, up to
	// store.pack.max_bytes.
	packBuckets      = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096}
	packOctetBuckets = []float64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20}
	// A loop that answers within 1 ms is well; past 100 ms clients see it.
	loopBuckets = []float64{0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
)

package pack

import "time"

// UsualLatency returns the estimate of a request's usual duration.
func UsualLatency(b *Batcher) time.Duration { return b.latency.estimate() }

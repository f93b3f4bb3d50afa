// Package sim drives the real codec, session, driver and pipeline on a simulated
// world: sockets, clock, wake-ups, randomness, object store and event log all
// follow from one seed, and so do the faults. It holds tests only.
//
// A world lives in three phases. In the first, faults strike at any step. In the
// second all is well, and every message that may be delivered must be. In the
// third all clients fall silent, and everything must come to its end by itself. In some
// worlds sessions have slow work that is no message (driver.Call).
//
// The workers of pack.Batcher are coroutines: each runs until it waits, and goes on when
// the world has what it waits for (line).
package sim

package verifier

import (
	"context"
	"hash/maphash"
	"net/netip"

	"sluice/gateway/places"
)

const (
	// laneCount and laneWidth bound how many look-ups there are at a time. Each asks about
	// findersAtOnce questions, of which the resolver allows 2,000.
	laneCount = 64
	laneWidth = 8
)

// lanes bound how many look-ups there are at a time, and keep those of one client from
// taking the turn of others: a client waits in one of two lanes, that with fewer before it.
// Which they are, nobody else can tell.
type lanes struct {
	seed maphash.Seed
	all  [laneCount]chan struct{} // an element for each look-up
}

func newLanes() *lanes {
	l := &lanes{seed: maphash.MakeSeed()}
	for i := range l.all {
		l.all[i] = make(chan struct{}, laneWidth)
	}
	return l
}

// enter waits for the turn of a client, and returns its lane. It returns nil when ctx ends
// before.
func (l *lanes) enter(ctx context.Context, client netip.Addr) chan struct{} {
	key := places.Client(client).As16()
	hash := maphash.Bytes(l.seed, key[:])
	lane, other := l.all[hash%laneCount], l.all[hash/laneCount%laneCount]
	if len(other) < len(lane) {
		lane = other
	}
	select {
	case lane <- struct{}{}:
		return lane
	case <-ctx.Done():
		return nil
	}
}

// leave ends the turn of a look-up in a lane.
func leave(lane chan struct{}) { <-lane }

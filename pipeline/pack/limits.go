package pack

// Limits bound a pack. All are at least 1.
type Limits struct {
	Messages int   // in one pack
	Octets   int64 // of the messages of one pack, with their trace fields
	Message  int64 // octets of a message that may share an object
}

// Small says whether a message of so many octets may share an object.
func (l *Limits) Small(octets int64) bool { return octets <= l.Message }

// Room says whether any small message fits beside so many of so many octets. What
// is asked before a message is known leaves none over that would have to wait
// although a lane is free.
func (l *Limits) Room(messages int, octets int64) bool {
	return messages == 0 || messages < l.Messages && octets+l.Message <= l.Octets
}

// Worth says whether so many messages are worth a request of their own while busy
// lanes have underWay. Beside m in each of them 2m-1 are, so one beside one; where
// nothing is under way, one. Some tens of small messages cost a store little more
// than one does (MinIO: 1.8 ms of processor time, and 0.03 ms for each of 10 KiB),
// so that a small pack beside a large one makes both slower.
func Worth(messages int, busy, underWay int64) bool {
	return busy == 0 || int64(messages)*busy > 2*(underWay-busy)
}

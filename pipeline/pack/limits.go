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

// Worth says whether so many messages are worth a request of their own while
// busy lanes have so many under way: they are when they are no fewer than a busy
// lane has. A request costs a store about as much for few messages as for many
// (MinIO: 1.5 ms of processor time, and 3 to 4.7 ms for 3 as for 50 of 10 KiB), so
// that a small pack beside a large one makes both slower.
func Worth(messages int, busy, underWay int64) bool { return int64(messages)*busy >= underWay }

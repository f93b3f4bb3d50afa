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

package pack

// The store may have twice as many requests of the lanes as there are lanes. A spare
// request is the second attempt at a pack whose first one stands still, or belongs to a
// lane that is open only meanwhile. So a slow store gets at most twice its usual load.

// TakeSpare reports whether a spare request was free, and takes it. The requests of a nil
// Batcher are not counted.
func (b *Batcher) TakeSpare() bool {
	if b == nil {
		return true
	}
	select {
	case <-b.spares:
		return true
	default:
		return false
	}
}

// ReturnSpare returns what TakeSpare took.
func (b *Batcher) ReturnSpare() {
	if b != nil {
		b.spares <- struct{}{}
	}
}

// OpenLane opens another lane while one stands still, until closeLane is called. It opens
// none, and returns nil, when no spare request is free. Only a lane may call it, for the
// time of its own request.
func (b *Batcher) OpenLane() (closeLane func()) {
	if b == nil || !b.TakeSpare() {
		return nil
	}
	stop := make(chan struct{})
	b.startWorker(b.options.Lanes, stop)
	return func() { close(stop) }
}

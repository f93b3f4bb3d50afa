package driver

import "sluice/pipeline"

// This file is the only door between other threads and a loop.

// Post implements pipeline.Door. A parcel that comes while the loop is at work
// is seen before the loop rests; one that comes while it rests wakes it.
func (l *Loop) Post(p *pipeline.Parcel) {
	wasEmpty := l.inbox.Push(p)
	if wasEmpty && !l.awake.Load() {
		l.waker.Wake()
	}
}

// enter begins a callback of the reactor.
func (l *Loop) enter() {
	l.awake.Store(true)
	l.now = l.shared.Clock.Now()
}

// leave ends a callback: it opens what has come by the door, results of work
// that this very callback began among it. The loop says that it rests before it
// looks a last time, and Post adds before it asks whether the loop rests, so one
// of the two always sees the parcel.
func (l *Loop) leave() {
	for {
		for l.inbox.OpenAll() > 0 {
		}
		l.awake.Store(false)
		if l.inbox.Empty() {
			return
		}
		l.awake.Store(true)
	}
}

// Run opens what has come by the door. The reactor calls it after Waker.Wake.
func (l *Loop) Run() {
	defer l.survive("run")
	l.enter()
	l.leave()
}

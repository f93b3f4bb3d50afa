package reactor

import (
	"context"
	"sync"

	"github.com/panjf2000/gnet/v2"
)

// learning is held once for each loop, at its first connection.
var learning sync.Mutex

// learn makes the driver loop of a gnet loop.
func (r *Reactor) learn(l *loop) *loop {
	learning.Lock()
	defer learning.Unlock()
	l.driver = r.shared.NewLoop(l, r.options.NewRandom())
	l.wake = gnet.RunnableFunc(func(context.Context) error {
		l.driver.Run()
		return nil
	})
	for i := range r.loops {
		if r.loops[i].CompareAndSwap(nil, l) {
			return l
		}
	}
	panic("reactor: more gnet loops than were asked for")
}

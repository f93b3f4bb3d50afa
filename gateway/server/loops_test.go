package server

import (
	"runtime"
	"testing"
)

// TestLoopsLeaveAProcessor checks that, on any number of processors, one is left to wait
// for the store and the broker while every loop waits for its clients.
func TestLoopsLeaveAProcessor(t *testing.T) {
	for _, c := range []struct{ processors, loops, needed int }{
		{1, 1, 2}, {2, 1, 2}, {3, 1, 3}, {4, 2, 4}, {64, 32, 64},
	} {
		loops, needed := countLoops(c.processors)
		if loops != c.loops || needed != c.needed || loops >= needed {
			t.Errorf("%d processors: %d loops, %d processors needed; want %d, %d", c.processors, loops, needed, c.loops, c.needed)
		}
	}
}

func TestReserveLoops(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if loops := reserveLoops(); loops != 1 || runtime.GOMAXPROCS(0) != 2 {
		t.Errorf("%d loops, %d processors", loops, runtime.GOMAXPROCS(0))
	}
}

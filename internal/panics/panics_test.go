package panics_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/panics"
)

func TestTry(t *testing.T) {
	var at panics.Place
	var stack string
	panics.Notify(func(place panics.Place, _ any, s []byte) { at, stack = place, string(s) })
	failure := errors.New("failure")
	if err := panics.Try(panics.Store, func() error { return failure }); !errors.Is(err, failure) || at != "" {
		t.Errorf("%v, notified of %q", err, at)
	}
	err := panics.Try(panics.Store, func() error { return breakDown() })
	if err == nil || err.Error() != "panic in store: broken" {
		t.Errorf("%v", err)
	}
	if at != panics.Store || !strings.Contains(stack, "breakDown") {
		t.Errorf("notified of %q with the stack\n%s", at, stack)
	}
}

func breakDown() error { panic("broken") }

func TestKeep(t *testing.T) {
	var counted atomic.Int32
	panics.Notify(func(panics.Place, any, []byte) { counted.Add(1) })
	runs := 0
	panics.Keep(panics.Accept, func() {
		if runs++; runs < 3 {
			panic(runs)
		}
	})
	if runs != 3 || counted.Load() != 2 {
		t.Errorf("%d runs, %d panics", runs, counted.Load())
	}
}

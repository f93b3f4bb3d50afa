package pressure

import (
	"net/netip"
	"testing"
	"time"
)

func TestShedFollowsTheFraction(t *testing.T) {
	for _, c := range []struct {
		memory float64
		shed   int // of all 65,536 draws
	}{
		{0, 0}, {0.5, 0}, {0.75, 1 << 15}, {0.9, 52429}, {1, 1 << 16},
	} {
		g := NewGate(Settings{Interval: time.Second, BodyMemory: Band{0.5, 1}})
		g.Update(time.Unix(1, 0), Inputs{BodyMemory: c.memory})
		shed := 0
		for draw := range 1 << 16 {
			cause, is := g.Shed(0, uint16(draw))
			if is {
				shed++
			}
			if is != (draw < c.shed) || is != (cause == CauseBodyMemory) || !is && cause != CauseOpen {
				t.Fatalf("memory %v, draw %d: %q %v", c.memory, draw, cause, is)
			}
		}
		if shed != c.shed {
			t.Errorf("memory %v: %d shed, want %d", c.memory, shed, c.shed)
		}
	}
}

func TestANewGateIsOpen(t *testing.T) {
	g := NewGate(Settings{Lag: LagSettings{Groups: []string{"indexer"}, Records: Band{1, 2}, OnStale: Shed}})
	if cause, shed := g.Shed(0, 0); shed {
		t.Error(cause)
	}
}

func classed() *Gate {
	return NewGate(Settings{Classes: []Class{
		{Name: "own", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}},
		{Name: "customers", Authenticated: true},
		{Name: "partners", Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
		{Name: "never", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}},
	}})
}

func TestClassOf(t *testing.T) {
	g := classed()
	for text, want := range map[string]uint8{
		"192.0.2.1":          1, // the first match
		"::ffff:192.0.2.7":   1,
		"2001:db8::1":        1,
		"2001:db8::1%eth0":   1,
		"198.51.100.255":     3,
		"203.0.113.1":        0,
		"::1":                0,
		"::ffff:203.0.113.1": 0,
	} {
		if got := g.ClassOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: class %d, want %d", text, got, want)
		}
	}
	if got := g.ClassOf(netip.Addr{}); got != 0 {
		t.Errorf("no address: class %d", got)
	}
}

func TestAuthenticated(t *testing.T) {
	g := classed()
	for was, want := range []uint8{2, 1, 2, 2} {
		if got := g.Authenticated(uint8(was)); got != want {
			t.Errorf("class %d becomes %d, want %d", was, got, want)
		}
	}
	if got := NewGate(Settings{}).Authenticated(0); got != 0 {
		t.Errorf("without classes: %d", got)
	}
}

// TestUnknownClass checks that a class number out of range has the thresholds of the
// default class.
func TestUnknownClass(t *testing.T) {
	g := NewGate(Settings{Interval: time.Second, BodyMemory: Band{0.5, 1}})
	g.Update(time.Unix(1, 0), Inputs{BodyMemory: 1})
	if cause, shed := g.Shed(200, 65535); !shed || cause != CauseBodyMemory {
		t.Error(cause, shed)
	}
}

func TestShedDoesNotAllocate(t *testing.T) {
	g := classed()
	client := netip.MustParseAddr("198.51.100.9")
	if n := testing.AllocsPerRun(100, func() { g.Shed(g.ClassOf(client), 7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package places

import (
	"net/netip"
	"testing"
)

// TestClient checks who counts as one client.
func TestClient(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "::1": "::",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Client(netip.MustParseAddr(address)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := Client(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: %s", got)
	}
}

// TestPlaces takes all places that there are, and returns them.
func TestPlaces(t *testing.T) {
	p := New(16)
	var clients []netip.Addr
	for i := range 32 {
		clients = append(clients, netip.AddrFrom4([4]byte{192, 0, 2, byte(i / 2)}))
	}
	one := netip.MustParseAddr("2001:db8::1")
	if !p.Take(one) || !p.Take(netip.MustParseAddr("2001:db8::2")) || p.Room(one) || p.Take(one) {
		t.Error("an address has not its eighth of the places")
	}
	taken := 2
	for _, client := range clients {
		if room := p.Room(client); p.Take(client) {
			taken++
			if !room {
				t.Errorf("%s: there was no room, and yet a place", client)
			}
		}
	}
	if taken != 16 || p.Taken() != 16 || p.Counted() != 16 || p.Limit() != 16 || p.Take(netip.MustParseAddr("198.51.100.1")) {
		t.Errorf("%d are taken, %d by count, %d by address", taken, p.Taken(), p.Counted())
	}
}

// TestNoAllocations holds what event loops ask to no allocation.
func TestNoAllocations(t *testing.T) {
	p := New(1)
	for _, client := range []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")} {
		if n := testing.AllocsPerRun(100, func() {
			if p.Room(client) && p.Take(client) {
				p.Give(client)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", client, n)
		}
	}
}

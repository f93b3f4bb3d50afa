package config

import "testing"

// Questions have the sockets that connections leave, and a part of the headroom.
func TestDNSSockets(t *testing.T) {
	for _, c := range []struct{ files, connections, want int }{
		{524288, 19000, 2000}, {20000, 19000, 250}, {20000, 18000, 1250}, {1024, 768, 64}, {256, 128, 32}, {0, 19000, 2000},
	} {
		cfg := DefaultOn(Machine{Files: c.files})
		cfg.Limits.Connections = c.connections
		if got := cfg.DNSSockets(); got != c.want {
			t.Errorf("%d of %d files: %d", c.connections, c.files, got)
		}
	}
}

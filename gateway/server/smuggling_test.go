package server

import (
	"fmt"
	"net/netip"
	"testing"

	"sluice/gateway/config"
)

// TestSmugglingKeys checks that sessions follow the keys: a text with a bare LF is
// refused by default, and accepted if it is tolerated or from an exempt network.
func TestSmugglingKeys(t *testing.T) {
	exempt := func(network string) func(*config.Config) {
		return func(c *config.Config) { c.SmugglingExempt = []netip.Prefix{netip.MustParsePrefix(network)} }
	}
	for name, test := range map[string]struct {
		change func(*config.Config)
		want   string
	}{
		"by default":     {nil, "554 5.6.0"},
		"tolerated":      {func(c *config.Config) { c.Smuggling = config.SmugglingTolerate }, "250 "},
		"exempt":         {exempt("127.0.0.0/8"), "250 "},
		"another exempt": {exempt("192.0.2.0/24"), "554 5.6.0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := launch(t, test.change)
			c := r.dial(t)
			c.Begin()
			_, _ = fmt.Fprint(c.Conn, "bare\nline\r\n.\r\n")
			c.Expect(test.want)
			_ = c.Conn.Close()
			r.end(t)
		})
	}
}

package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestWarnings(t *testing.T) {
	for warning, set := range map[string]func(*Config){
		"every message is answered 250 and LOST": func(c *Config) {
			c.UnsafeDiscard, c.Store.Kind, c.Events.Kind = true, KindDiscard, KindDiscard
		},
		"events name objects that are nowhere":                func(c *Config) { c.UnsafeDiscard, c.Store.Kind = true, KindDiscard },
		"the log grows until events are older":                func(c *Config) { c.Events.Embedded.RetentionBytes = 0 },
		"nobody is told":                                      func(c *Config) { c.UnsafeDiscard, c.Events.Kind = true, KindDiscard },
		"searches for mail, which are refused for as long as": func(c *Config) { c.Admin.Address = "0.0.0.0:8025" },
		"it asks for no password but for searches for mail": func(c *Config) {
			c.Admin.Address, c.Admin.Token = "0.0.0.0:8025", NewSecret("0123456789abcdef")
		},
		"timeouts.command is 1m: a server should wait at least 5m":   func(c *Config) { c.Timeouts.Command = time.Minute },
		"hostname mx is not fully qualified":                         func(c *Config) { c.Hostname = "mx"; public(c) },
		"accept.any is true: accept.domains has no effect":           func(c *Config) { c.Accept.Domains = []string{"example.net"} },
		"accept.any is true on 192.0.2.1:25: whoever reaches it can": func(c *Config) { public(c); c.Accept = AcceptConfig{Any: true} },
		"with 67MiB they are not":                                    func(c *Config) { c.Memory.Bodies = Share{Octets: 60 * MiB} },
		"can claim any address": func(c *Config) {
			c.Listeners[0].XclientNetworks = []netip.Prefix{netip.MustParsePrefix("::/0")}
		},
	} {
		c := DefaultOn(testMachine)
		c.origins = map[string]origin{"accept.any": {layer: byFile}}
		set(&c)
		if err := c.Validate(ForServe); err != nil {
			t.Errorf("%s: %v", warning, err)
		}
		if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], warning) {
			t.Errorf("got %q, want %q", got, warning)
		}
	}
	c := DefaultOn(testMachine)
	c.UnsafeDiscard = true // allows it, but discards nothing by itself
	if err := c.Validate(ForServe); err != nil || len(c.Warnings()) != 0 {
		t.Error(err, c.Warnings())
	}
}

func public(c *Config) {
	c.Listeners = []ListenerConfig{{Address: "192.0.2.1:25", ProxyProtocol: ProxyOff}}
	c.Accept = AcceptConfig{Domains: []string{"example.net"}}
}

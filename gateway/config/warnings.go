package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Warnings returns settings that are allowed but risky, one line each. The configuration
// is valid.
func (c *Config) Warnings() []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	public := c.PublicListeners()
	switch store, events := c.Store.kind().discards, c.Events.kind().discards; {
	case store && events:
		warn("store.kind and events.kind are discard: every message is answered 250 and LOST")
	case store:
		warn("store.kind is discard: every message is answered 250 and LOST; events name objects that are nowhere")
	case events:
		warn("events.kind is discard: messages are stored, and nobody is told")
	}
	if c.Events.kind().discards && len(c.Pressure.Lag.Groups) > 0 {
		warn("pressure.lag.groups has no effect: events.kind is discard, so nobody can fall behind")
	}
	all = append(all, c.Store.kind().warningsOf(c)...)
	if c.Accept.Any && len(public) > 0 {
		warn("accept.any is true on %s: whoever reaches it can fill the store with mail for any recipient", strings.Join(public, ", "))
	}
	all = append(all, c.tlsWarnings()...)
	all = append(all, c.authWarnings()...)
	all = append(all, c.verifyWarnings()...)
	all = append(all, c.indexWarnings()...)
	for _, l := range c.Listeners {
		if slices.ContainsFunc(slices.Concat(l.ProxyNetworks, l.XclientNetworks), isEverybody) {
			warn("everybody is in proxy_networks or xclient_networks of %s: whoever reaches it can claim any address", l.Address)
		}
	}
	if c.Accept.Any && len(c.Accept.Domains) > 0 {
		warn("accept.any is true: accept.domains has no effect")
	}
	all = append(all, c.adminWarnings()...)
	all = append(all, c.Events.kind().warningsOf(c)...)
	if len(public) > 0 && !strings.Contains(c.Hostname, ".") {
		warn("hostname %s is not fully qualified, as the greeting should be (RFC 5321 §4.1.1.1, §4.2)", c.Hostname)
	}
	if c.Timeouts.Command < 5*time.Minute {
		warn("timeouts.command is %s: a server should wait at least 5m for a command (RFC 5321 §4.5.3.2.7)", ShortDuration(c.Timeouts.Command))
	}
	for _, text := range []string{c.warnMemory(), c.warnImpatient()} {
		if text != "" {
			warn("%s", text)
		}
	}
	return all
}

// IndexerWarnings returns those of Warnings that concern who fills the index.
func (c *Config) IndexerWarnings() []string {
	return slices.Concat(c.Store.kind().warningsOf(c), c.indexWarnings(), c.adminWarnings(), c.Events.kind().warningsOf(c))
}

func (c *Config) adminWarnings() []string {
	if isLoopback(c.Admin.Address) {
		return nil
	}
	text := "admin.address " + c.Admin.Address + " is not on loopback: it asks for no password"
	if c.Indexes() {
		text += " but for searches for mail"
		if c.Admin.Token.Reveal() == "" {
			text += ", which are refused for as long as there is no admin.token_file"
		}
	}
	return []string{text}
}

func isEverybody(network netip.Prefix) bool { return network.Bits() == 0 }

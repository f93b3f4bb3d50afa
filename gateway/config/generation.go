package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// startOnly are the keys, and the sections, that a running gateway cannot change.
var startOnly = []string{
	"data_dir", "unsafe_discard", "listeners", "admin.address", "log.format",
	"limits.message_size", "limits.connections", "memory", "socket", "store", "events",
	// Stages of a message and the adapters that hold them have these from the start.
	"timeouts.store", "timeouts.message", "pressure.store_errors", "pressure.events_errors",
	"pressure.lag.groups", "pressure.lag.interval", "process",
	"tls.handshakes",                                                         // the bound of the pool that runs them
	"dns",                                                                    // the client is open
	"auth.backends", "auth.cache", "auth.attempts", "auth.ldap", "auth.oidc", // the backends are open
	"verify.enabled", "index",
}

// FileIsEmpty reports whether there is a configuration file that sets no key. It is as valid
// as another, but not in place of one: it may be about to be written.
func (c *Config) FileIsEmpty() bool {
	for _, o := range c.origins {
		if o.layer == byFile {
			return false
		}
	}
	return c.file != ""
}

// NeedRestart returns the keys in which next differs from c and that a running gateway
// cannot change. Of pressure.classes only the thresholds can be changed.
func (c *Config) NeedRestart(next *Config) []string {
	var changed []string
	for i := range keys {
		k := &keys[i]
		if isStartOnly(k.path) && !sameValue(k.place(c), k.place(next)) {
			changed = append(changed, k.path)
		}
	}
	if !slices.EqualFunc(c.Pressure.Classes, next.Pressure.Classes, sameClients) {
		changed = append(changed, "pressure.classes")
	}
	return changed
}

func isStartOnly(path string) bool {
	return slices.ContainsFunc(startOnly, func(key string) bool {
		return path == key || strings.HasPrefix(path, key+".")
	})
}

// sameValue reports whether two values of a key are equal. A secret in a file is the same
// as long as the file is: what the file holds is read again when a server refuses it.
func sameValue(a, b value) bool {
	switch at := a.(type) {
	case secretValue:
		other := b.(secretValue).at
		return at.at.file == other.file && (other.file != "" || at.at.plain == other.plain)
	case keyName:
		other := b.(keyName)
		return *at.file == *other.file && (*other.file != "" || *at.at == *other.at)
	}
	return a.String() == b.String()
}

// sameClients reports whether two classes have the same name and the same clients.
func sameClients(a, b ClassConfig) bool {
	return a.Name == b.Name && a.Authenticated == b.Authenticated &&
		slices.EqualFunc(a.Networks, b.Networks, func(x, y netip.Prefix) bool { return x == y })
}

// Hash returns 16 hexadecimal digits that differ between configurations. Processes of a
// fleet have the same, because it leaves out what each has of its own: hostname,
// addresses to listen on, data_dir, secrets and the names of files. It covers the content
// of the list of recipients.
func (c *Config) Hash() string {
	sum := sha256.New()
	for i := range keys {
		k := &keys[i]
		v := k.place(c)
		switch at := v.(type) {
		case secretValue, keyName:
			continue
		case listeners:
			for _, l := range *at.at {
				l.Address = ""
				fmt.Fprintf(sum, "%v\n", l)
			}
			continue
		}
		switch k.path {
		case "hostname", "data_dir", "admin.address", "events.embedded.address", "accept.recipients_file",
			"tls.certificates", "tls.client_ca_file", "tls.tickets_file",
			"index.sqlite.path", "auth.static.file", "auth.ldap.ca_file", "auth.ldap.bind_password_file", "auth.oidc.client_secret_file":
			continue
		}
		fmt.Fprintf(sum, "%s: %s\n", k.path, v)
	}
	if c.users != nil {
		users := c.users.Sum()
		fmt.Fprintf(sum, "%x\n", users)
	}
	if c.senders != nil {
		policy := c.senders.Sum()
		fmt.Fprintf(sum, "%x\n", policy)
	}
	if c.recipients != nil {
		fmt.Fprintf(sum, "%x\n", c.recipients.Sum())
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

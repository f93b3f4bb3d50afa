package spf

import (
	"net/netip"
	"strings"
)

// value returns what a macro letter stands for (RFC 7208 §7.2).
func (c *check) value(letter byte, domain string) (string, error) {
	switch letter {
	case 's':
		return c.local + "@" + c.origin, c.mustBeASCII()
	case 'l':
		return c.local, c.mustBeASCII()
	case 'o':
		return c.origin, nil
	case 'd':
		return domain, nil
	case 'i':
		return dotted(c.client), nil
	case 'p':
		return c.clientName(domain)
	case 'v':
		if c.client.Is6() {
			return "ip6", nil
		}
		return "in-addr", nil
	default: // h
		return c.helo, nil
	}
}

// mustBeASCII returns an error if the local part is not: a term with it matches nothing
// (RFC 8616 §4).
func (c *check) mustBeASCII() error {
	for i := range len(c.local) {
		if c.local[i] >= 0x80 {
			return errNoMatch
		}
	}
	return nil
}

// clientName returns the name of the client that %{p} stands for: the domain itself, else
// one below it, else any, else "unknown".
func (c *check) clientName(domain string) (string, error) {
	names, err := c.clientNames()
	if err != nil {
		return "", err
	}
	best := "unknown"
	for i, name := range names {
		switch {
		case name == domain:
			return name, nil
		case isBelow(name, domain) && !isBelow(best, domain), i == 0:
			best = name
		}
	}
	return best, nil
}

// dotted returns an address as %{i}: an IPv6 address in nibbles.
func dotted(address netip.Addr) string {
	if address.Is4() {
		return address.String()
	}
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 63)
	for i, octet := range address.As16() {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, hex[octet>>4], '.', hex[octet&15])
	}
	return string(b)
}

// clientNames returns the names of the client that have its address. Who chooses them is
// not the domain that is checked, so what is absent does not count, and an error is no
// error (RFC 7208 §5.5) unless the time is over.
func (c *check) clientNames() ([]string, error) {
	if c.named {
		return c.names, nil
	}
	names, err := c.dns.PTR(c.ctx, c.client)
	if err != nil {
		names = nil
	}
	for _, name := range names[:min(len(names), maxHosts)] {
		if !isName(name) {
			continue
		}
		addresses, _ := c.addresses(name) // then it has none
		for _, address := range addresses {
			if address == c.client {
				c.names = append(c.names, strings.ToLower(name))
				break
			}
		}
	}
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	c.named = true
	return c.names, nil
}

// isBelow reports whether a name is a domain or one below it.
func isBelow(name, domain string) bool {
	if len(name) == len(domain) {
		return strings.EqualFold(name, domain)
	}
	at := len(name) - len(domain) - 1
	return at >= 0 && name[at] == '.' && strings.EqualFold(name[at+1:], domain)
}

package pipeline

import "net/netip"

// Client is who sent a message.
type Client struct {
	Address  netip.AddrPort
	Helo     string // the argument of HELO or EHLO
	Protocol string // SMTP or ESMTP (RFC 3848 has the names that TLS and AUTH add)
}

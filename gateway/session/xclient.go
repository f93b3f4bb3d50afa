package session

import (
	"net/netip"

	"sluice/codec"
	"sluice/pipeline"
)

// Name sets the client that a load balancer named in a PROXY header.
func (s *Session) Name(client netip.AddrPort, by *pipeline.Proxy) {
	s.client, s.peer = client, &peer{proxy: by}
}

// AllowXclient lets the client name another by XCLIENT, until it says MAIL. From then on a
// proxy passes on what its client says, and XCLIENT could be the client's own word.
func (s *Session) AllowXclient() { s.mayName = true }

// xclient begins the session anew, with the client that a proxy names (Postfix,
// XCLIENT_README). The proxy may name another one until it says MAIL.
func (s *Session) xclient(arg []byte) Actions {
	x, fault := codec.ParseXclient(arg)
	if fault != codec.FaultNone {
		return Actions{Reply: codec.ReplyBadArgument}
	}
	by := &pipeline.Proxy{Address: s.client.Addr(), Name: x.Name}
	known := s.known()
	if known.proxy != nil { // what a balancer said before still holds
		*by = *known.proxy
		by.Name = x.Name
	}
	address, port := s.client.Addr(), s.client.Port()
	if x.Address.IsValid() {
		address, port = x.Address, 0
	}
	if x.Port != 0 {
		port = x.Port
	}
	*s = Session{
		id: s.id, settings: s.settings, client: netip.AddrPortFrom(address, port), peer: &peer{proxy: by, tls: known.tls},
		helo: x.Helo, esmtp: x.Proto == "ESMTP", mayName: true, draining: s.draining,
	}
	return Actions{Do: DoReadmit}
}

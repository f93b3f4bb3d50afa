package driver

import (
	"slices"
	"time"

	"sluice/codec"
	"sluice/pipeline"
)

// Causes for which a connection is closed for want of a PROXY header, besides the faults
// of the header itself.
const (
	proxyNetwork    = "network"    // its peer is in none of the networks
	proxyLate       = "late"       // the header did not come in time
	proxyIncomplete = "incomplete" // the peer closed in the middle of the header
	proxyDraining   = "draining"   // the process shut down in the middle of the header
	proxyDisplaced  = "displaced"  // too many waited for theirs, and it had waited longest
)

// ProxyCauses returns every cause of Observer.ProxyRefused.
func ProxyCauses() []string {
	causes := []string{proxyNetwork, proxyLate, proxyIncomplete, proxyDraining, proxyDisplaced}
	for f := codec.ProxyFault(1); int(f) < codec.ProxyFaultCount; f++ {
		causes = append(causes, f.String())
	}
	return causes
}

// awaitProxy begins a connection whose client a PROXY header names. Nothing is sent, and
// only the process's count of connections concerns it, until the header has come.
func (l *Loop) awaitProxy(c *Conn) {
	if !trusts(c.listener.ProxyNetworks, c.session.Client().Addr()) {
		l.refuseProxy(c, proxyNetwork)
		return
	}
	c.unnamed, l.unnamed = true, append(l.unnamed, c)
	if refusal := l.shared.admission.admit(c); refusal != nil {
		if l.countRefused(c); c.crowded { // else it is refused once it may be answered
			l.shared.Observer.SessionRefused(refusal.Cause)
		}
	}
	l.setDeadline(c, l.generation.Timeouts.Proxy)
}

// HeaderGrace is how long a connection may wait for its PROXY header however many do. A
// load balancer sends the header as soon as it is connected.
const HeaderGrace = 500 * time.Millisecond

// displaceUnnamed ends those that have waited longest for their PROXY header, when too
// many wait.
func (l *Loop) displaceUnnamed() {
	most := l.shared.Admission.Unnamed
	if most == 0 {
		return
	}
	for surplus := len(l.unnamed) - most; surplus > 0; surplus-- {
		oldest := l.unnamed[0]
		if l.tick()-int64(oldest.openedAt) <= ticksOf(HeaderGrace) {
			return
		}
		l.turn(oldest, "displace", func() { l.refuseProxy(oldest, proxyDisplaced) })
	}
}

// forgetUnnamed takes a connection off those that wait for their PROXY header.
func (l *Loop) forgetUnnamed(c *Conn) {
	if !c.unnamed {
		return
	}
	c.unnamed = false
	if l.unnamed[0] == c { // as most are
		l.unnamed[0], l.unnamed = nil, l.unnamed[1:]
		return
	}
	i := slices.Index(l.unnamed, c)
	l.unnamed = slices.Delete(l.unnamed, i, i+1)
}

// proxyHeader reads the PROXY header at the start of in and greets the client that it
// names. It returns the bytes used, 0 while the header is incomplete.
func (l *Loop) proxyHeader(c *Conn, in []byte) (used int) {
	h, n, fault := codec.ParseProxy(in)
	switch {
	case fault != codec.ProxyOK:
		l.refuseProxy(c, fault.String())
		return 0
	case n == 0:
		c.begun = true
		return 0
	}
	c.begun = false
	l.forgetUnnamed(c)
	if h.Source.IsValid() {
		c.session.Name(h.Source, &pipeline.Proxy{
			Address: c.session.Client().Addr(), Authority: h.Authority, UniqueID: h.UniqueID, TLS: h.TLS,
		})
	}
	l.shared.admission.leaveRefused(c)
	l.welcome(c)
	return n
}

// refuseProxy closes a connection without an answer: its peer may not speak SMTP.
func (l *Loop) refuseProxy(c *Conn, cause string) {
	l.shared.Observer.ProxyRefused(cause)
	l.shared.MailLog.Refused(&Refusal{Session: c.session.ID(), Client: c.session.Client(), Verb: whatProxy, Cause: cause})
	l.finish(c, "refused")
}

// whatProxy stands for the command of a connection that was refused for want of a PROXY
// header.
const whatProxy = "PROXY"

// closedUnnamed ends a connection that its peer closed before its PROXY header was whole.
// One that sent nothing is the health check of a load balancer.
func (l *Loop) closedUnnamed(c *Conn, how Ending) {
	if c.begun {
		l.refuseProxy(c, proxyIncomplete)
		return
	}
	l.end(c, "client", how)
}

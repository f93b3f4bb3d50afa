package driver

import (
	"slices"

	"sluice/codec"
	"sluice/pipeline"
)

// Causes for which a connection is closed for want of a PROXY header, besides the faults
// of the header itself.
const (
	proxyNetwork    = "network"    // its peer is in none of the networks
	proxyLate       = "late"       // the header did not come in time
	proxyIncomplete = "incomplete" // the peer closed in the middle of the header
	proxyDisplaced  = "displaced"  // too many waited for theirs, and it had waited longest
)

// ProxyCauses returns every cause of Observer.ProxyRefused.
func ProxyCauses() []string {
	causes := []string{proxyNetwork, proxyLate, proxyIncomplete, proxyDisplaced}
	for f := codec.ProxyFault(1); int(f) < codec.ProxyFaultCount; f++ {
		causes = append(causes, f.String())
	}
	return causes
}

// awaitProxy begins a connection whose client a PROXY header names. Nothing is sent, and
// only the process's count of connections concerns it, until the header has come. When too
// many wait, the one that has waited longest ends: a load balancer sends the header as
// soon as it is connected.
func (l *Loop) awaitProxy(c *Conn) {
	if !trusts(c.listener.ProxyNetworks, c.session.Client().Addr()) {
		l.refuseProxy(c, proxyNetwork)
		return
	}
	if most := l.shared.Admission.Unnamed; most > 0 && len(l.unnamed) >= most {
		l.refuseProxy(l.unnamed[0], proxyDisplaced)
	}
	c.unnamed, l.unnamed = true, append(l.unnamed, c)
	if refusal := l.shared.admission.admit(c); refusal != nil {
		if l.countRefused(c); c.crowded { // else it is refused once it may be answered
			l.shared.Observer.SessionRefused(refusal.Cause)
		}
	}
	l.setDeadline(c, l.generation.Timeouts.Proxy)
}

// forgetUnnamed takes a connection off those that wait for their PROXY header.
func (l *Loop) forgetUnnamed(c *Conn) {
	if !c.unnamed {
		return
	}
	c.unnamed = false
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

package sim

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"sluice/gateway/driver"
	"sluice/gateway/session"
)

// frontWorlds marks the seeds of worlds in which clients come through a load balancer,
// which names them by PROXY headers, and in which the configuration is reloaded.
const frontWorlds = 1 << 63

// balancer is the address from which connections come in such a world.
var balancer = netip.MustParseAddr("10.0.0.1")

// hosts are the names of the gateway, of one generation after the other.
var hosts = [...]string{"mx.example.net", "mx2.example.net"}

// throughFront makes a listener one behind a load balancer.
func throughFront(at *driver.Listener) {
	at.Proxy, at.ProxyNetworks = true, []netip.Prefix{netip.PrefixFrom(balancer, balancer.BitLen())}
}

// peer returns the address from which the connection of a client comes.
func (w *world) peer(client netip.AddrPort) netip.AddrPort {
	if w.plan.front {
		return netip.AddrPortFrom(balancer, client.Port())
	}
	return client
}

// header returns what the load balancer sends before what a client sends.
func (w *world) header(client netip.AddrPort) string {
	switch {
	case !w.plan.front:
		return ""
	case client.Port()%2 == 0:
		return fmt.Sprintf("PROXY TCP4 %s 198.51.100.1 %d 25\r\n", client.Addr(), client.Port())
	}
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), client.Addr().AsSlice()...)
	header = append(header, 198, 51, 100, 1)
	return string(binary.BigEndian.AppendUint32(header, uint32(client.Port())<<16|25))
}

// reload gives the gateway another name, and sessions other limits.
func (p *process) reload() {
	p.generations++
	host := hosts[p.generations%len(hosts)]
	p.w.note("reload "+host, p.generations, 0)
	g := driver.Generation{Timeouts: timeouts, MinDataRate: p.w.plan.rate}
	g.Settings = map[*driver.Listener]*session.Settings{p.listener: p.w.plan.settings(host)}
	p.shared.Reload(g)
}

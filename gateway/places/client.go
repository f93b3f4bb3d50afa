package places

import "net/netip"

// Client returns the address by which a client is counted: that of IPv6 clients is the first
// of their /64, the least that one customer has. An IPv4 address is never mapped.
func Client(address netip.Addr) netip.Addr {
	if address = address.Unmap(); address.Is6() {
		address = netip.PrefixFrom(address, 64).Masked().Addr()
	}
	return address
}

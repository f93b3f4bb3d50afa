package reactor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/gateway/driver"
)

// Family is the IP version of the connections that a listener accepts: IPv4, IPv6, or
// both.
type Family string

// The families.
const (
	IPv4     Family = "IPv4"
	IPv6     Family = "IPv6"
	IPv4And6 Family = "IPv4 and IPv6"
)

// Bound is an address that the reactor listens on.
type Bound struct {
	Address string // host:port with the actual port; the host may be empty
	Family  Family
	// Unreachable means that the host has no address of the family.
	Unreachable bool
}

// listener accepts connections on one of the configured addresses.
type listener struct {
	net.Listener
	sessions *driver.Listener // what its connections have in common
	bound    Bound
}

// familyOf returns the network for net.Listen and the family it accepts. 0.0.0.0 means
// all of IPv4 and [::] all of IPv6; only an empty host means both. net.Listen on "tcp"
// would make either address both, so the families are kept apart and both can be listed.
func familyOf(host string) (network string, family Family) {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp", IPv4And6
	case ip.Unmap().Is4():
		return "tcp4", IPv4
	default:
		return "tcp6", IPv6
	}
}

// listen binds all addresses. A port in use by another process is an error, because
// SO_REUSEPORT is not set: a second process would silently take half of the mail.
func listen(o *Options) (all []*listener, err error) {
	config := net.ListenConfig{
		KeepAlive: -1, // sessions have deadlines of their own
		Control: func(_, _ string, c syscall.RawConn) error {
			return setBuffers(c, o.SendBuffer, o.ReceiveBuffer)
		},
	}
	config.SetMultipathTCP(false)
	for _, e := range o.Endpoints {
		l, err := listenOn(&config, e)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("cannot listen on %s: %w", e.Address, err)
		}
		all = append(all, l)
	}
	return all, nil
}

func listenOn(config *net.ListenConfig, e Endpoint) (*listener, error) {
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		return nil, err
	}
	network, family := familyOf(host)
	l, err := config.Listen(context.Background(), network, e.Address)
	if err != nil {
		return nil, err
	}
	bound, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	if network == "tcp" && host != "" { // localhost: one of its addresses
		_, family = familyOf(bound)
	}
	return &listener{Listener: l, sessions: e.Listener, bound: Bound{
		Address: net.JoinHostPort(host, port), Family: family, Unreachable: family == IPv6 && !hasIPv6(),
	}}, nil
}

// hasIPv6 reports whether the host has IPv6. [::] can be bound even if IPv6 is disabled.
func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

// setBuffers sets the socket buffer sizes of a listener; its connections inherit them.
func setBuffers(c syscall.RawConn, send, receive int) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		if failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, send); failed == nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
		}
	})
	if err != nil {
		return err
	}
	return failed
}

func closeAll(all []*listener) {
	for _, l := range all {
		_ = l.Close()
	}
}

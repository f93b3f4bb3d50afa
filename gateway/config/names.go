package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// isDomain reports whether name is a domain by RFC 5321 §4.1.2 (Domain), in lower case,
// within the lengths of RFC 1035 §2.3.4. An IP address is not a domain. Internationalized
// names are written as A-labels (xn--…).
func isDomain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isHostname reports whether name is a domain in any case.
func isHostname(name string) bool { return isDomain(strings.ToLower(name)) }

func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// isAddress reports whether text is an address to listen on: an IP address, localhost or
// nothing (all addresses), and a port. Host names are not resolved, because the result
// may change and a listener must not.
func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return false
	}
	if host == "" || host == "localhost" {
		return true
	}
	_, err = netip.ParseAddr(host)
	return err == nil
}

// isLoopback reports whether address can be reached only from this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// overlap reports whether two addresses cannot both be listened on: they share a port,
// and an address of one family. An empty host is all of both families, 0.0.0.0 all of
// IPv4 and [::] all of IPv6. Port 0 is any free port.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	if hostA == "" || hostB == "" {
		return true
	}
	ipA, ipB := listenedIP(hostA), listenedIP(hostB)
	return ipA == ipB || ipA.Is4() == ipB.Is4() && (ipA.IsUnspecified() || ipB.IsUnspecified())
}

func listenedIP(host string) netip.Addr {
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, _ := netip.ParseAddr(host)
	return ip.Unmap()
}

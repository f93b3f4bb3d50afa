package codec

import (
	"net/netip"
	"strconv"
)

// XclientExtension is the line of EHLO that offers XCLIENT with its attributes.
const XclientExtension = "XCLIENT ADDR PORT NAME HELO PROTO"

// Xclient holds the attributes of an XCLIENT command (Postfix, XCLIENT_README): what a
// proxy in front says of its client. An attribute that is missing, [UNAVAILABLE] or
// [TEMPUNAVAIL] is the zero value.
type Xclient struct {
	Address netip.Addr
	Port    uint16
	Name    string // host name of the client
	Helo    string
	Proto   string // SMTP or ESMTP
}

// ParseXclient parses the argument of XCLIENT: name=value pairs with white space between
// them, values in xtext (RFC 3461 §4). At least one has to be there. An attribute that is
// not ADDR, PORT, NAME, HELO or PROTO is FaultUnknownParameter.
func ParseXclient(arg []byte) (x Xclient, fault Fault) {
	seen := 0
	for rest := arg; ; {
		p, next, ok, fault := NextParam(rest)
		switch {
		case fault != FaultNone:
			return Xclient{}, fault
		case !ok && seen == 0:
			return Xclient{}, FaultSyntax
		case !ok:
			return x, FaultNone
		}
		bit, fault := x.set(p)
		switch {
		case fault != FaultNone:
			return Xclient{}, fault
		case seen&bit != 0:
			return Xclient{}, FaultRepeatedParameter
		}
		seen |= bit
		rest = next
	}
}

// set sets one attribute and returns a bit that stands for its name.
func (x *Xclient) set(p Param) (bit int, fault Fault) {
	value, ok := decodeXtext(p.Value)
	if !ok || !p.HasValue {
		return 0, FaultParameterSyntax
	}
	missing := equalFold(p.Value, "[UNAVAILABLE]") || equalFold(p.Value, "[TEMPUNAVAIL]")
	if missing {
		value = ""
	}
	valid := true
	switch {
	case equalFold(p.Key, "ADDR"):
		bit = 1
		if !missing {
			x.Address, valid = xclientAddress(value)
		}
	case equalFold(p.Key, "PORT"):
		bit = 2
		if !missing {
			port, err := strconv.ParseUint(value, 10, 16)
			x.Port, valid = uint16(port), err == nil
		}
	case equalFold(p.Key, "NAME"):
		bit, x.Name = 4, value
		valid = len(value) <= maxDomain
	case equalFold(p.Key, "HELO"):
		bit, x.Helo = 8, value
		valid = len(value) <= maxDomain
	case equalFold(p.Key, "PROTO"):
		bit, x.Proto = 16, value
		valid = missing || value == "SMTP" || value == "ESMTP"
	default:
		return 0, FaultUnknownParameter
	}
	if !valid {
		return 0, FaultParameterSyntax
	}
	return bit, FaultNone
}

// xclientAddress parses the value of ADDR, which is an IPv6 address after "IPV6:".
func xclientAddress(value string) (netip.Addr, bool) {
	const prefix = "IPV6:"
	six := len(value) > len(prefix) && equalFold([]byte(value[:len(prefix)]), prefix)
	if six {
		value = value[len(prefix):]
	}
	address, err := netip.ParseAddr(value)
	return address.Unmap(), err == nil && address.Zone() == "" && (six || address.Is4())
}

// decodeXtext decodes xtext: "+" and two upper-case hexadecimal digits stand for an octet
// (RFC 3461 §4). ok is false for anything that is not printable ASCII after that, which
// no attribute needs and log lines should not have.
func decodeXtext(in []byte) (text string, ok bool) {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '+' {
			if len(in) < i+3 {
				return "", false
			}
			high, low := upperHex(in[i+1]), upperHex(in[i+2])
			if high < 0 || low < 0 {
				return "", false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		if c < ' ' || c > '~' {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), true
}

// upperHex returns the value of an upper-case hexadecimal digit, -1 for anything else.
func upperHex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

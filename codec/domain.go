package codec

// DomainKind is the kind of domain after the "@" of a mailbox (RFC 5321 §4.1.2, §4.1.3).
type DomainKind uint8

const (
	// DomainNone means that there is no domain.
	DomainNone DomainKind = iota
	// DomainName is a domain name.
	DomainName
	// DomainIPv4 is an IPv4 address literal, "[192.0.2.1]".
	DomainIPv4
	// DomainIPv6 is an IPv6 address literal, "[IPv6:2001:db8::1]".
	DomainIPv6
)

// parseDomain parses the domain or address literal at the start of b. n is its length in
// octets, including brackets.
func parseDomain(b []byte) (kind DomainKind, n int, fault Fault) {
	if len(b) == 0 || b[0] != '[' {
		n, fault = domainNameLen(b)
		return DomainName, n, fault
	}
	for n = 1; n < len(b) && is(b[n], classDcont); n++ {
	}
	if n == len(b) || b[n] != ']' {
		return DomainNone, 0, FaultSyntax
	}
	kind = literalKind(b[1:n])
	n++
	switch {
	case kind == DomainNone:
		return DomainNone, 0, FaultSyntax
	case n > maxDomain:
		return DomainNone, 0, FaultDomainTooLong
	}
	return kind, n, FaultNone
}

// domainNameLen returns the length of the domain name at the start of b: labels of
// letters, digits and hyphens that begin and end in a letter or digit, separated by dots
// (RFC 5321 §4.1.2, sub-domain).
//
// Against that grammar, the underscore counts as a letter. The DNS allows it (RFC 2181
// §11), names with it send and receive mail, and widespread servers accept it. A trailing
// dot stays an error, as in the grammar.
func domainNameLen(b []byte) (n int, fault Fault) {
	for {
		label := n
		for n < len(b) && (is(b[n], classLetDig) || b[n] == '-') {
			n++
		}
		switch {
		case n == label, b[label] == '-', b[n-1] == '-':
			return 0, FaultSyntax
		case n-label > maxLabel, n > maxDomain:
			return 0, FaultDomainTooLong
		case n == len(b), b[n] != '.':
			return n, FaultNone
		}
		n++
	}
}

// literalKind returns the kind of the address literal b, which is given without its
// brackets, and DomainNone if b is not one (RFC 5321 §4.1.3).
func literalKind(b []byte) DomainKind {
	const tag = "IPV6:"
	if len(b) > len(tag) && equalFold(b[:len(tag)], tag) {
		if isIPv6(b[len(tag):]) {
			return DomainIPv6
		}
		return DomainNone // RFC 5321 §4.1.3: the tag "IPv6" is taken
	}
	if isIPv4(b) {
		return DomainIPv4
	}
	// A tag of General-address-literal must be registered with IANA, and only IPv6 is.
	return DomainNone
}

// isIPv4 reports whether b is an IPv4-address-literal: four decimal numbers of 0–255,
// each of one to three digits. Leading zeros are allowed (Snum = 1*3DIGIT).
func isIPv4(b []byte) bool {
	for field := 0; ; field++ {
		value, digits := 0, 0
		for digits < len(b) && digits < 3 && is(b[digits], classDigit) {
			value = value*10 + int(b[digits]-'0')
			digits++
		}
		if digits == 0 || value > 255 {
			return false
		}
		b = b[digits:]
		if field == 3 {
			return len(b) == 0
		}
		if len(b) == 0 || b[0] != '.' {
			return false
		}
		b = b[1:]
	}
}

// isIPv6 reports whether b is an IPv6-addr. "::" may stand for a single group of zeros
// (RFC 4291 §2.2), although RFC 5321 §4.1.3 requires two. Senders that print the address
// as their system does should not be refused for that.
func isIPv6(b []byte) bool {
	groups, compressed := 0, false
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		compressed = true
		b = b[2:]
		if len(b) == 0 {
			return true
		}
	}
	for {
		digits := 0
		for digits < len(b) && digits < 5 && is(b[digits], classHex) {
			digits++
		}
		if digits < len(b) && b[digits] == '.' {
			// The last two groups are an IPv4 address.
			groups += 2
			return isIPv4(b) && fillsIPv6(groups, compressed)
		}
		if digits == 0 || digits > 4 {
			return false
		}
		groups++
		b = b[digits:]
		if len(b) == 0 {
			return fillsIPv6(groups, compressed)
		}
		if b[0] != ':' || groups == 8 {
			return false
		}
		b = b[1:]
		if len(b) > 0 && b[0] == ':' {
			if compressed {
				return false
			}
			compressed = true
			b = b[1:]
			if len(b) == 0 {
				return groups < 8
			}
		}
	}
}

// fillsIPv6 reports whether groups make a whole address: eight, or fewer when "::" stands
// for the others.
func fillsIPv6(groups int, compressed bool) bool {
	if compressed {
		return groups < 8
	}
	return groups == 8
}

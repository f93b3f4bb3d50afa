package codec

import "bytes"

// PathKind tells the kinds of path apart (RFC 5321 §4.1.1.2, §4.1.1.3).
type PathKind uint8

const (
	// PathNull is "<>", the null reverse-path (RFC 5321 §4.5.5).
	PathNull PathKind = iota
	// PathPostmaster is "<postmaster>" in any case, without a domain; as a
	// forward-path only (RFC 5321 §4.5.1).
	PathPostmaster
	// PathMailbox is every other: local part, "@", domain.
	PathMailbox
)

// Path is a reverse-path or forward-path (RFC 5321 §4.1.2). Its slices alias
// the argument that it was parsed from.
type Path struct {
	Kind       PathKind
	DomainKind DomainKind
	// Address is the mailbox as it was written, without the brackets and
	// without a source route.
	Address []byte
	// Local is the local part as it was written, with the quotes and
	// backslashes of a quoted string.
	Local []byte
	// Domain is the domain, with the brackets of an address literal.
	Domain []byte
}

// ParseMail parses the argument of MAIL: "FROM:" reverse-path, then parameters,
// which are given back unparsed. Both alias arg. After a fault path and params
// are empty.
func ParseMail(arg []byte) (path Path, params []byte, fault Fault) {
	return parseCommandPath(arg, "FROM:")
}

// ParseRcpt parses the argument of RCPT: "TO:" forward-path, then parameters,
// as ParseMail does. The null path is FaultSyntax here.
func ParseRcpt(arg []byte) (path Path, params []byte, fault Fault) {
	return parseCommandPath(arg, "TO:")
}

// ParseVrfy parses the argument of VRFY: a mailbox, in angle brackets or not. Any
// argument without "@" is a user's name, a path without a domain: PathPostmaster.
func ParseVrfy(arg []byte) (path Path, fault Fault) {
	if open := bytes.IndexByte(arg, '<'); open >= 0 && arg[len(arg)-1] == '>' {
		path, n, fault := parsePath(arg[open:])
		if fault == FaultNone && open+n == len(arg) && path.Kind == PathMailbox {
			return path, FaultNone
		}
	}
	if bytes.IndexByte(arg, '@') < 0 {
		return Path{Kind: PathPostmaster}, FaultNone
	}
	path, n, fault := parseMailbox(arg)
	if fault == FaultNone && n != len(arg) {
		fault = FaultSyntax
	}
	if fault != FaultNone {
		return Path{}, fault
	}
	return path, FaultNone
}

// parseCommandPath parses keyword, path and the parameters behind it. White
// space between the colon and the path is no part of the grammar, but enough
// clients send it that RFC 5321 §4.1.1.2 warns of them. Angle brackets that are
// missing are an error: guessing where a path ends is how addresses get lost.
func parseCommandPath(arg []byte, keyword string) (path Path, params []byte, fault Fault) {
	if len(arg) < len(keyword) || !equalFold(arg[:len(keyword)], keyword) {
		return Path{}, nil, FaultSyntax
	}
	rest := trimLeft(arg[len(keyword):])
	path, n, fault := parsePath(rest)
	if fault != FaultNone {
		return Path{}, nil, fault
	}
	forward := keyword == "TO:"
	if forward && path.Kind == PathNull || !forward && path.Kind == PathPostmaster {
		return Path{}, nil, FaultSyntax
	}
	params = rest[n:]
	if len(params) > 0 && !isWSP(params[0]) {
		return Path{}, nil, FaultSyntax
	}
	return path, trim(params), FaultNone
}

// parsePath parses the path at the start of b; n is its length in octets, from
// "<" to ">".
func parsePath(b []byte) (path Path, n int, fault Fault) {
	if len(b) < 2 || b[0] != '<' {
		return Path{}, 0, FaultSyntax
	}
	if b[1] == '>' {
		return Path{Kind: PathNull}, 2, FaultNone
	}
	n = 1
	if b[1] == '@' {
		route, fault := sourceRouteLen(b[1:])
		if fault != FaultNone {
			return Path{}, 0, fault
		}
		n += route
	}
	path, length, fault := parseMailbox(b[n:])
	if fault != FaultNone {
		return Path{}, 0, fault
	}
	if path.Kind == PathPostmaster && n > 1 {
		return Path{}, 0, FaultSyntax // a source route leads to a Mailbox only
	}
	n += length
	if n >= len(b) || b[n] != '>' {
		return Path{}, 0, FaultSyntax
	}
	n++
	if n > maxPath {
		return Path{}, 0, FaultPathTooLong
	}
	return path, n, FaultNone
}

// sourceRouteLen gives the length of the source route at the start of b, colon
// included: A-d-l = "@" Domain *( "," "@" Domain ). It must be accepted and
// should be ignored (RFC 5321 §4.1.1.3, appendix C).
func sourceRouteLen(b []byte) (n int, fault Fault) {
	for {
		if n >= len(b) || b[n] != '@' {
			return 0, FaultSyntax
		}
		length, fault := domainNameLen(b[n+1:])
		if fault != FaultNone {
			return 0, fault
		}
		n += 1 + length
		if n >= len(b) {
			return 0, FaultSyntax
		}
		switch b[n] {
		case ':':
			return n + 1, FaultNone
		case ',':
			n++
		default:
			return 0, FaultSyntax
		}
	}
}

// parseMailbox parses Mailbox = Local-part "@" ( Domain / address-literal ) at
// the start of b, or "postmaster" before ">"; n is its length in octets.
func parseMailbox(b []byte) (path Path, n int, fault Fault) {
	local, fault := localPartLen(b)
	if fault != FaultNone {
		return Path{}, 0, fault
	}
	path.Local = b[:local]
	if local < len(b) && b[local] == '>' && equalFold(path.Local, "POSTMASTER") {
		path.Kind, path.Address = PathPostmaster, path.Local
		return path, local, FaultNone
	}
	if local >= len(b) || b[local] != '@' {
		return Path{}, 0, FaultSyntax
	}
	if local > maxLocalPart {
		return Path{}, 0, FaultLocalPartTooLong
	}
	kind, length, fault := parseDomain(b[local+1:])
	if fault != FaultNone {
		return Path{}, 0, fault
	}
	n = local + 1 + length
	path.Kind, path.DomainKind = PathMailbox, kind
	path.Address, path.Domain = b[:n], b[local+1:n]
	return path, n, FaultNone
}

// localPartLen gives the length of the local part at the start of b:
// Local-part = Dot-string / Quoted-string (RFC 5321 §4.1.2).
func localPartLen(b []byte) (n int, fault Fault) {
	if len(b) > 0 && b[0] == '"' {
		return quotedStringLen(b)
	}
	for {
		atom := n
		for n < len(b) && is(b[n], classAtext) {
			n++
		}
		if n == atom {
			return 0, FaultSyntax // empty, or a dot that begins, ends or follows another
		}
		if n == len(b) || b[n] != '.' {
			return n, FaultNone
		}
		n++
	}
}

// quotedStringLen gives the length of the quoted string at the start of b,
// quotes included: DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE.
func quotedStringLen(b []byte) (n int, fault Fault) {
	for n = 1; n < len(b); n++ {
		switch c := b[n]; {
		case c == '"':
			return n + 1, FaultNone
		case c == '\\':
			n++
			if n == len(b) || b[n] < ' ' || b[n] > '~' {
				return 0, FaultSyntax
			}
		case !is(c, classQtext):
			return 0, FaultSyntax
		}
	}
	return 0, FaultSyntax
}

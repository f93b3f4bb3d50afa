package codec

import "bytes"

// PathKind is the kind of a path (RFC 5321 §4.1.1.2, §4.1.1.3).
type PathKind uint8

const (
	// PathNull is "<>", the null reverse-path (RFC 5321 §4.5.5).
	PathNull PathKind = iota
	// PathPostmaster is "<postmaster>" in any case, without a domain. It is allowed as a
	// forward-path only (RFC 5321 §4.5.1).
	PathPostmaster
	// PathMailbox is any other path: local part, "@", domain.
	PathMailbox
)

// Path is a reverse-path or forward-path (RFC 5321 §4.1.2). Its slices alias
// the argument that it was parsed from.
type Path struct {
	Kind       PathKind
	DomainKind DomainKind
	// Address is the mailbox as received, without angle brackets and source route.
	Address []byte
	// Local is the local part as received, with the quotes and backslashes of a quoted
	// string.
	Local []byte
	// Domain is the domain, with the brackets of an address literal.
	Domain []byte
	// Leniency names the departures from the grammar that were accepted.
	Leniency Leniency
}

// Leniency is a departure from the grammar of a path that common servers accept.
type Leniency uint8

const (
	// LenientNone means that the path follows the grammar.
	LenientNone Leniency = iota
	// LenientBrackets means that the angle brackets are missing.
	LenientBrackets
	// LenientDots means that dots begin or end the local part or follow each other.
	LenientDots
	// LenientBoth combines LenientBrackets and LenientDots.
	LenientBoth
	leniencyCount
)

// LeniencyCount is the number of leniencies, including LenientNone.
const LeniencyCount = int(leniencyCount)

var leniencyNames = [leniencyCount]string{"none", "no_brackets", "dots", "no_brackets_dots"}

// String returns the leniency in snake_case, for metric labels.
func (l Leniency) String() string { return leniencyNames[l] }

// ParseMail parses the argument of MAIL: "FROM:" reverse-path, then parameters, which are
// returned unparsed. Both results alias arg. After a fault, path and params are empty.
func ParseMail(arg []byte) (path Path, params []byte, fault Fault) {
	return parseCommandPath(arg, "FROM:")
}

// ParseRcpt parses the argument of RCPT: "TO:" forward-path, then parameters, as
// ParseMail does. The null path is FaultSyntax here.
func ParseRcpt(arg []byte) (path Path, params []byte, fault Fault) {
	return parseCommandPath(arg, "TO:")
}

// ParseVrfy parses the argument of VRFY: a mailbox, with or without angle brackets. Any
// argument without "@" is a user name. It yields a path without a domain, PathPostmaster.
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

// parseCommandPath parses the keyword, the path and the parameters after it. White space
// between the colon and the path is not part of the grammar, but enough clients send it
// that RFC 5321 §4.1.1.2 warns of them. Angle brackets may be missing around a
// Dot-string@Domain, which then ends at white space or at the end of the line. A quoted
// string and a source route need both brackets, and one bracket without the other is a
// fault.
func parseCommandPath(arg []byte, keyword string) (path Path, params []byte, fault Fault) {
	if len(arg) < len(keyword) || !equalFold(arg[:len(keyword)], keyword) {
		return Path{}, nil, FaultSyntax
	}
	rest := trimLeft(arg[len(keyword):])
	forward := keyword == "TO:"
	parse := parsePath
	if len(rest) > 0 && rest[0] != '<' && rest[0] != '"' {
		parse = parseBarePath
	}
	path, n, fault := parse(rest)
	if fault != FaultNone {
		return Path{}, nil, fault
	}
	if forward && path.Leniency&LenientDots != 0 {
		return Path{}, nil, FaultSyntax // the domains that we accept have no such addresses
	}
	if forward && path.Kind == PathNull || !forward && path.Kind == PathPostmaster {
		return Path{}, nil, FaultSyntax
	}
	params = rest[n:]
	if len(params) > 0 && !isWSP(params[0]) {
		return Path{}, nil, FaultSyntax
	}
	return path, trim(params), FaultNone
}

// parsePath parses the path at the start of b. n is its length in octets, from "<" to
// ">".
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

// parseBarePath parses the mailbox without angle brackets at the start of b.
func parseBarePath(b []byte) (path Path, n int, fault Fault) {
	path, n, fault = parseMailbox(b)
	switch {
	case fault != FaultNone:
		return Path{}, 0, fault
	case path.Kind != PathMailbox:
		return Path{}, 0, FaultSyntax
	case n+len("<>") > maxPath:
		return Path{}, 0, FaultPathTooLong
	}
	path.Leniency |= LenientBrackets
	return path, n, FaultNone
}

// sourceRouteLen returns the length of the source route at the start of b, including the
// colon: A-d-l = "@" Domain *( "," "@" Domain ). A source route must be accepted and
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

// parseMailbox parses Mailbox = Local-part "@" ( Domain / address-literal ) at the start
// of b, or "postmaster" before ">". n is its length in octets.
func parseMailbox(b []byte) (path Path, n int, fault Fault) {
	local, dots, fault := localPartLen(b)
	if fault != FaultNone {
		return Path{}, 0, fault
	}
	path.Local = b[:local]
	if dots {
		path.Leniency = LenientDots
	}
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

// localPartLen returns the length of the local part at the start of b: Local-part =
// Dot-string / Quoted-string (RFC 5321 §4.1.2). dots reports that a dot begins or ends it
// or follows another dot, as in some addresses in use.
func localPartLen(b []byte) (n int, dots bool, fault Fault) {
	if len(b) > 0 && b[0] == '"' {
		n, fault = quotedStringLen(b)
		return n, false, fault
	}
	atoms := 0
	for {
		atom := n
		for n < len(b) && is(b[n], classAtext) {
			n++
		}
		if n > atom {
			atoms++
		} else {
			dots = true
		}
		if n == len(b) || b[n] != '.' {
			break
		}
		n++
	}
	if atoms == 0 {
		return 0, false, FaultSyntax
	}
	return n, dots, FaultNone
}

// quotedStringLen returns the length of the quoted string at the start of b, including
// quotes: DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE.
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

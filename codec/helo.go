package codec

// ValidHelo checks the argument of HELO or EHLO and gives it back. It is taken
// as any 1 to 255 printable ASCII characters without white space.
//
// That is far more than RFC 5321 §4.1.1.1 allows (a domain or an address
// literal), and on purpose: real senders greet with underscores, bare
// addresses, trailing dots and apostrophes, §4.1.4 forbids to refuse mail for a
// name that cannot be verified, and the name decides nothing here. Whoever
// writes it into a header must quote it: it may hold parentheses, semicolons
// and angle brackets.
func ValidHelo(arg []byte) (domain []byte, ok bool) {
	if len(arg) == 0 || len(arg) > maxDomain {
		return nil, false
	}
	for _, c := range arg {
		if !is(c, classGraphic) {
			return nil, false
		}
	}
	return arg, true
}

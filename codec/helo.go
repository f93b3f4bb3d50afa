package codec

// ValidHelo checks the argument of HELO or EHLO and returns it. It accepts any 1 to 255
// printable ASCII characters without white space.
//
// That is deliberately far more than RFC 5321 §4.1.1.1 allows (a domain or an address
// literal). Real senders greet with underscores, bare addresses, trailing dots and
// apostrophes. RFC 5321 §4.1.4 forbids refusing mail for a name that cannot be verified,
// and no decision here depends on the name. A caller that writes it into a header must
// quote it: it may hold parentheses, semicolons and angle brackets.
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

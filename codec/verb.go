package codec

// Verb is the command verb of an SMTP command (RFC 5321 §4.1.1 and the
// extensions named below).
type Verb uint8

// The verbs that the decoder recognizes. Whether a recognized verb is offered is decided
// in order.go.
const (
	// VerbUnknown is the zero value: any verb that is not listed here.
	VerbUnknown  Verb = iota
	VerbHELO          // RFC 5321 §4.1.1.1
	VerbEHLO          // RFC 5321 §4.1.1.1
	VerbMAIL          // RFC 5321 §4.1.1.2
	VerbRCPT          // RFC 5321 §4.1.1.3
	VerbDATA          // RFC 5321 §4.1.1.4
	VerbRSET          // RFC 5321 §4.1.1.5
	VerbNOOP          // RFC 5321 §4.1.1.9
	VerbVRFY          // RFC 5321 §4.1.1.6
	VerbEXPN          // RFC 5321 §4.1.1.7
	VerbHELP          // RFC 5321 §4.1.1.8
	VerbQUIT          // RFC 5321 §4.1.1.10
	VerbSTARTTLS      // RFC 3207 §4
	VerbAUTH          // RFC 4954 §4
	VerbBDAT          // RFC 3030 §2
	VerbXCLIENT       // Postfix, XCLIENT_README
	VerbHTTP          // an HTTP request line (RFC 9110 §9, RFC 5789 §2)
	VerbTLS           // the first TLS record (RFC 8446 §5.1)
	verbCount
)

// VerbCount is the number of verbs, including VerbUnknown: the length of a table that is
// indexed by Verb.
const VerbCount = int(verbCount)

var verbNames = [verbCount]string{
	VerbUnknown: "unknown", VerbHELO: "HELO", VerbEHLO: "EHLO", VerbMAIL: "MAIL",
	VerbRCPT: "RCPT", VerbDATA: "DATA", VerbRSET: "RSET", VerbNOOP: "NOOP",
	VerbVRFY: "VRFY", VerbEXPN: "EXPN", VerbHELP: "HELP", VerbQUIT: "QUIT",
	VerbSTARTTLS: "STARTTLS", VerbAUTH: "AUTH", VerbBDAT: "BDAT",
	VerbXCLIENT: "XCLIENT",
	VerbHTTP:    "HTTP", VerbTLS: "TLS",
}

// String returns the verb as RFC 5321 writes it, and "unknown" for VerbUnknown.
func (v Verb) String() string {
	if v >= verbCount {
		return verbNames[VerbUnknown]
	}
	return verbNames[v]
}

// parseVerb reads the verb at the start of line, which ends at the first white space.
// Verbs are matched without regard to case (RFC 5321 §2.4). n is the length of the word,
// even if it is unknown. White space before the verb is not allowed.
func parseVerb(line []byte) (v Verb, n int) {
	for n < len(line) && !isWSP(line[n]) {
		n++
	}
	return lookupVerb(line[:n]), n
}

func lookupVerb(word []byte) Verb {
	const longest = len("STARTTLS")
	if len(word) < 3 || len(word) > longest {
		return VerbUnknown
	}
	// &^ 0x20 makes a letter upper-case. It changes other octets too, but only the two
	// cases of a letter map to that upper-case letter.
	var buf [longest]byte
	for i, c := range word {
		buf[i] = c &^ 0x20
	}
	switch string(buf[:len(word)]) {
	case "HELO":
		return VerbHELO
	case "EHLO":
		return VerbEHLO
	case "MAIL":
		return VerbMAIL
	case "RCPT":
		return VerbRCPT
	case "DATA":
		return VerbDATA
	case "RSET":
		return VerbRSET
	case "NOOP":
		return VerbNOOP
	case "VRFY":
		return VerbVRFY
	case "EXPN":
		return VerbEXPN
	case "HELP":
		return VerbHELP
	case "QUIT":
		return VerbQUIT
	case "STARTTLS":
		return VerbSTARTTLS
	case "AUTH":
		return VerbAUTH
	case "BDAT":
		return VerbBDAT
	case "XCLIENT":
		return VerbXCLIENT
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return VerbHTTP
	}
	return VerbUnknown
}

// isRequestLine reports whether line ends like an HTTP request line, after a space:
// HTTP-version = "HTTP/" DIGIT "." DIGIT (RFC 9112 §2.3). Methods are an open set, and
// HTTP/2 begins with a method of its own, PRI (RFC 9113 §3.4).
func isRequestLine(line []byte) bool {
	const version = " HTTP/1.1"
	if len(line) <= len(version) {
		return false
	}
	end := line[len(line)-len(version):]
	return equalFold(end[:len(" HTTP/")], " HTTP/") &&
		is(end[6], classDigit) && end[7] == '.' && is(end[8], classDigit)
}

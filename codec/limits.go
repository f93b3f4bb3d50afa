package codec

// Limits of command lines, in octets with CRLF.
const (
	// lineLimit is the length that every server must accept, and the most that is allowed
	// without an extension (RFC 5321 §4.5.3.1.4).
	lineLimit = 512

	// Extensions raise the limit of the commands that carry their parameters (RFC 5321
	// §4.5.3.1.4). Every client has these allowances, whatever EHLO offered. The whole
	// line must be read for the reply to be 555 for its parameter and not 500 for its
	// length.
	addSIZE     = 26  // RFC 1870 §3: MAIL + 26
	addBODY     = 17  // RFC 6152 §2: MAIL + 17
	addSMTPUTF8 = 10  // RFC 6531 §3.1: MAIL, VRFY, EXPN + 10
	addAUTH     = 500 // RFC 4954 §3: MAIL + 500

	// RFC 3461 names the longest values, here with keyword, "=" and space: ENVID=, 100
	// characters (§4.4), and RET=HDRS (§4.3) on MAIL; ORCPT=, 500 characters (§4.2), and
	// NOTIFY=SUCCESS,FAILURE,DELAY (§4.1) on RCPT.
	addDSNOnMAIL = len(" ENVID=") + 100 + len(" RET=HDRS")
	addDSNOnRCPT = len(" ORCPT=") + 500 + len(" NOTIFY=SUCCESS,FAILURE,DELAY")

	// mailLimit is the longest line of MAIL.
	mailLimit = lineLimit + addSIZE + addBODY + addSMTPUTF8 + addAUTH + addDSNOnMAIL

	// authLimit is the longest line of AUTH and of a response in its exchange (RFC 4954
	// §4), where AUTH is offered. Elsewhere AUTH has no allowance: a line that is not
	// complete costs its sender's session that much memory.
	authLimit = 12288
)

// lineLimits holds the longest line of each verb, in octets with CRLF.
var lineLimits = func() (t [verbCount]uint16) {
	for v := range t {
		t[v] = lineLimit
	}
	t[VerbMAIL] = uint16(mailLimit)
	t[VerbRCPT] = uint16(lineLimit + addDSNOnRCPT)
	t[VerbVRFY] = lineLimit + addSMTPUTF8
	t[VerbEXPN] = lineLimit + addSMTPUTF8
	return t
}()

// LineLimit returns the longest command line that is accepted for v, in octets with CRLF.
func LineLimit(v Verb) int {
	if v >= verbCount {
		v = VerbUnknown
	}
	return int(lineLimits[v])
}

// MaxLine is the longest command line of all verbs, in octets with CRLF. It bounds what a
// caller of Decoder.Next has to buffer. MaxAuthLine is that where AUTH is offered.
const (
	MaxLine     = mailLimit
	MaxAuthLine = authLimit
)

// Length limits of RFC 5321 §4.5.3.1, in octets.
const (
	maxLocalPart = 64  // §4.5.3.1.1
	maxDomain    = 255 // §4.5.3.1.2
	maxPath      = 256 // §4.5.3.1.3, including punctuation
	maxLabel     = 63  // RFC 1035 §2.3.4
)

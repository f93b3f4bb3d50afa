package secure

import (
	"errors"
	"strings"
)

// Cause is why a handshake failed: a bounded metric label.
type Cause string

// The causes.
const (
	CauseProtocol    Cause = "protocol"         // the peer does not speak TLS as it should
	CauseNoShared    Cause = "no_shared_cipher" // no version, cipher, group or signature in common
	CauseCertificate Cause = "certificate"      // one was refused: ours by the peer, or its own
	CauseGone        Cause = "gone"             // nobody waited for it any more
)

// causes are found by the texts of errors, the first that matches: crypto/tls has few
// types for them. An alert of the peer has its text in the error as well. A test has each
// of these errors made.
var causes = []struct {
	text  string
	cause Cause
}{
	{"certificate's signature algorithms", CauseNoShared},
	{"certificate", CauseCertificate},
	{"supported by both client and server", CauseNoShared},
	{"unsupported versions", CauseNoShared},
	{"handshake failure", CauseNoShared},
	{"protocol version", CauseNoShared},
	{"insufficient security", CauseNoShared},
}

// causeOf returns the cause of an error of a handshake.
func causeOf(err error) Cause {
	if errors.Is(err, errGone) {
		return CauseGone
	}
	for _, c := range causes {
		if strings.Contains(err.Error(), c.text) {
			return c.cause
		}
	}
	return CauseProtocol
}

package secure

import (
	"errors"
	"strings"

	"sluice/gateway/driver"
)

// causes are found by the texts of errors, the first that matches: crypto/tls has few
// types for them. An alert of the peer has its text in the error as well. A test has each
// of these errors made.
var causes = []struct {
	text  string
	cause driver.TLSCause
}{
	{"certificate's signature algorithms", driver.TLSNoShared},
	{"certificate", driver.TLSCertificate},
	{"supported by both client and server", driver.TLSNoShared},
	{"unsupported versions", driver.TLSNoShared},
	{"handshake failure", driver.TLSNoShared},
	{"protocol version", driver.TLSNoShared},
	{"insufficient security", driver.TLSNoShared},
}

// causeOf returns the cause of an error of a handshake.
func causeOf(err error) driver.TLSCause {
	switch text := err.Error(); {
	case errors.Is(err, errGone):
		return driver.TLSGone
	case strings.HasPrefix(text, "panic in "), strings.HasPrefix(text, "tls: failed to sign "):
		return driver.TLSInternal
	}
	for _, c := range causes {
		if strings.Contains(err.Error(), c.text) {
			return c.cause
		}
	}
	return driver.TLSProtocol
}

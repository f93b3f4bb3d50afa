package session

import (
	"sluice/codec"
	"sluice/pipeline"
)

// beforeTLS reports whether a command is taken before TLS where that is required (RFC
// 3207 §4). HELO is refused there as well: it cannot learn of STARTTLS.
func beforeTLS(v codec.Verb) bool {
	switch v {
	case codec.VerbEHLO, codec.VerbNOOP, codec.VerbQUIT, codec.VerbSTARTTLS, codec.VerbRSET, codec.VerbHELP:
		return true
	}
	return false
}

// startTLS handles STARTTLS (RFC 3207 §4). Input that came with it was not protected and
// could have been put there by anybody.
func (s *Session) startTLS(ev Event) Actions {
	switch {
	case s.known().tls != nil:
		return Actions{Reply: codec.ReplyNestedTLS}
	case len(ev.Command.Arg) > 0:
		return Actions{Reply: codec.ReplyBadArgument}
	case s.draining:
		return Actions{Reply: codec.ReplyDraining}
	case ev.Ahead:
		return Actions{Reply: codec.ReplyInputBehindTLS}
	case ev.Busy:
		return s.junkCommand(Actions{Reply: codec.ReplyTLSBusy})
	}
	return Actions{Reply: codec.ReplyStartTLS, Do: DoSecure}
}

// Secure begins the session anew behind a TLS handshake. Nothing that the client said
// before is kept (RFC 3207 §4.2), apart from what counts against it.
func (s *Session) Secure(about *pipeline.TLS) {
	s.peer = &peer{proxy: s.known().proxy, tls: about}
	s.helo, s.esmtp, s.state = "", false, codec.StateStart
}

// index returns 1 for true.
func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

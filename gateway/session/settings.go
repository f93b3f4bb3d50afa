package session

import (
	"net/netip"
	"slices"
	"strconv"

	"sluice/codec"
	"sluice/pipeline"
)

// Limits bound one session. The configuration states the reasons for the defaults.
type Limits struct {
	MessageSize     int64 // octets, as received (RFC 1870)
	Recipients      int   // recipients of one message (RFC 5321 §4.5.3.1.8)
	CommandErrors   int   // replies 500, 501, 502, 503 and 555 between accepted messages
	RecipientErrors int   // refused recipients and messages between accepted messages
	JunkCommands    int   // commands between messages that do not advance one
	Messages        int   // messages answered on one connection
	ReceivedHeaders int   // Received fields in a message (RFC 5321 §6.3)
}

// Settings are shared by all sessions. They must not change while sessions use them.
type Settings struct {
	Hostname string
	Limits   Limits
	Accept   *AcceptList
	// Recipients are the addresses that exist in the accepted domains, nil for any.
	Recipients Recipients
	// Delimiter separates what follows the name of a recipient in its local part, such as
	// user+detail; 0 for none.
	Delimiter byte
	// Tolerate accepts messages with a bare CR, a bare LF or a NUL from every client.
	// Otherwise they are accepted only from TolerateFrom.
	Tolerate     bool
	TolerateFrom []netip.Prefix
	// StrictPaths refuses paths that depart from the grammar (codec.Leniency).
	StrictPaths bool

	// Role is what the listener is for. On one for submission MAIL needs AUTH, and who has
	// authenticated may send to any recipient (RFC 6409).
	Role pipeline.Role

	auth           AuthPolicy
	refusedToken   []byte // scopeChallenge
	tls            TLSPolicy
	greeting, helo *codec.Reply
	ehlo           [2][2]*codec.Reply // by TLS, and whether the client may send XCLIENT
}

// TLSPolicy says what sessions make of TLS.
type TLSPolicy struct {
	Offered    bool // STARTTLS is offered
	Required   bool // no mail is taken before TLS (RFC 3207 §4)
	RequireTLS bool // REQUIRETLS is offered under TLS (RFC 8689)
}

// Recipients is a set of addresses.
type Recipients interface {
	// Has reports whether an address is in the set: by itself, without what follows a
	// delimiter in its local part, or by its domain. It is called on event loops: it must
	// not block or allocate.
	Has(local, domain []byte, delimiter byte) bool
}

// NewSettings returns the settings of sessions.
func NewSettings(hostname string, limits Limits, accept *AcceptList) *Settings {
	s := &Settings{
		Hostname: hostname,
		Limits:   limits,
		Accept:   accept,
		greeting: codec.GreetingReply(hostname),
		helo:     codec.HeloReply(hostname),
	}
	s.setExtensions()
	return s
}

// SetTLS sets what sessions make of TLS, before any session uses the settings.
func (s *Settings) SetTLS(policy TLSPolicy) {
	s.tls = policy
	s.setExtensions()
}

// SetAuth sets what sessions make of AUTH, before any session uses the settings.
func (s *Settings) SetAuth(policy AuthPolicy) {
	s.auth, s.refusedToken = policy, scopeChallenge(policy.Scope)
	s.setExtensions()
}

// setExtensions makes the replies to EHLO.
func (s *Settings) setExtensions() {
	policy := s.tls
	extensions := []string{
		"PIPELINING",
		"SIZE " + strconv.FormatInt(s.Limits.MessageSize, 10),
		"8BITMIME",
		"ENHANCEDSTATUSCODES",
	}
	plain, secure := slices.Clone(extensions), extensions
	if policy.Offered {
		plain = append(plain, "STARTTLS")
	}
	if s.auth.offered() {
		secure = append(secure, s.auth.extension())
		if s.auth.PlainText {
			plain = append(plain, s.auth.extension())
		}
	}
	if policy.RequireTLS {
		secure = append(secure, "REQUIRETLS")
	}
	for i, all := range [][]string{plain, secure} {
		s.ehlo[i][0] = codec.EhloReply(s.Hostname, all...)
		s.ehlo[i][1] = codec.EhloReply(s.Hostname, append(all, codec.XclientExtension)...)
	}
}

// refuseStranger returns the reply that refuses a forward-path of anybody's mail, nil for
// one that is accepted. Postmaster is always accepted, in any case and at every accepted
// domain (RFC 5321 §4.5.1).
func (s *Settings) refuseStranger(path *codec.Path) *codec.Reply {
	switch {
	case path.Kind == codec.PathPostmaster:
		return nil
	case !s.Accept.Accepts(path.Domain):
		return codec.ReplyRelayDenied
	case s.Recipients == nil || isPostmaster(path.Local) || s.Recipients.Has(path.Local, path.Domain, s.Delimiter):
		return nil
	}
	return codec.ReplyUnknownRecipient
}

// isPostmaster reports whether a local part is postmaster in any case.
func isPostmaster(local []byte) bool {
	const name = "postmaster"
	if len(local) != len(name) {
		return false
	}
	for i, c := range local {
		if c|0x20 != name[i] {
			return false
		}
	}
	return true
}

// guessedCredit is the body memory requested for a message of undeclared size: more than
// most messages need, but small enough to be granted to many.
var guessedCredit = pipeline.SlabBytes(256 << 10)

// endRoom is the memory behind a text that is needed to find its end.
const endRoom = 4

// wantedCredit returns the bytes of body memory to request before the 354.
func (s *Settings) wantedCredit(declared int64) int64 {
	limit := pipeline.SlabBytes(s.Limits.MessageSize)
	if declared <= 0 {
		return min(guessedCredit, limit)
	}
	return min(pipeline.SlabBytes(declared+endRoom), limit)
}

package session

import (
	"encoding/base64"
	"encoding/json"

	"sluice/codec"
	"sluice/pipeline"
)

// AuthPolicy says what sessions make of AUTH (RFC 4954).
type AuthPolicy struct {
	// Passwords and Tokens offer the mechanisms of either kind. AUTH is offered if one is.
	Passwords, Tokens bool
	// PlainText offers AUTH without TLS.
	PlainText bool
	// Explain tells clients why they were refused.
	Explain bool
	// Scope is the scope of tokens that clients are told to ask for (RFC 7628 §3.2.2), "" for
	// any.
	Scope string
	// Senders are the addresses that who has authenticated may send from, nil for any.
	Senders Senders
}

// Senders says who may send from which address.
type Senders interface {
	// Allows reports whether an identity may send from a reverse-path, which is empty for
	// the null one. It is called on event loops: it must not block or allocate.
	Allows(identity string, reversePath []byte) bool
}

// Verdict is what came of an attempt to authenticate.
type Verdict uint8

// Verdicts. The zero value accepts nobody.
const (
	AuthUnavailable Verdict = iota // nobody could find out
	AuthRefused
	AuthAccepted
)

// Answer is the answer to an attempt to authenticate.
type Answer struct {
	Verdict  Verdict
	Identity string // who the client is, when accepted
	Backend  string // whose verdict it is, empty for nobody's
	Issuer   string // who has vouched for that, if it is another
	Reason   string // why it is not accepted, bounded
	Err      error  // what lies behind it, for the log
}

// exchange is an exchange of AUTH, and stays until the next one for what is said of it.
type exchange struct {
	codec.Exchange
	answer Answer
	told   bool // that the token was refused; the client has one more line
}

// offers reports whether a mechanism is offered.
func (p *AuthPolicy) offers(m codec.Mechanism) bool {
	switch {
	case m == codec.MechanismUnknown:
		return false
	case m.Token():
		return p.Tokens
	}
	return p.Passwords
}

// offered reports whether AUTH is offered to some.
func (p *AuthPolicy) offered() bool { return p.Passwords || p.Tokens }

// extension returns the line of the reply to EHLO that offers AUTH.
func (p *AuthPolicy) extension() string {
	line := "AUTH"
	for _, m := range codec.Mechanisms() {
		if p.offers(m) {
			line += " " + m.String()
		}
	}
	return line
}

// scopeChallenge returns the challenge, in base64, that tells a client that its token was
// refused (RFC 7628 §3.2.2).
func scopeChallenge(scope string) []byte {
	text, _ := json.Marshal(struct {
		Status  string `json:"status"`
		Schemes string `json:"schemes"`
		Scope   string `json:"scope,omitempty"`
	}{"invalid_token", "bearer", scope}) // strings have no error
	return base64.StdEncoding.AppendEncode(nil, text)
}

// authenticate handles AUTH (RFC 4954 §4).
func (s *Session) authenticate(ev Event) Actions {
	policy, known := &s.settings.auth, s.known()
	switch {
	case known.tls == nil && !policy.PlainText:
		return Actions{Reply: codec.ReplyAuthNeedsTLS}
	case known.auth != nil:
		return Actions{Reply: codec.ReplyNestedAuth}
	case s.draining:
		return Actions{Reply: codec.ReplyDraining}
	}
	m, initial, ok := codec.ParseAuth(ev.Command.Arg)
	switch {
	case !ok:
		return Actions{Reply: codec.ReplyBadArgument}
	case !policy.offers(m):
		return Actions{Reply: codec.ReplyAuthMechanism}
	}
	known.exchange = &exchange{Exchange: codec.Exchange{Credentials: codec.Credentials{Mechanism: m}}}
	s.peer = &known
	if initial == nil {
		return s.challenge()
	}
	return s.respond(initial, codec.InitialResponse)
}

// challenge asks for the next response.
func (s *Session) challenge() Actions {
	s.phase = PhaseResponse
	return Actions{Reply: codec.ReplyChallenge, Arg: []byte(s.peer.exchange.Challenge())}
}

// response handles a line of the client in an exchange.
func (s *Session) response(ev Event) Actions {
	s.phase = PhaseCommand
	switch x := s.peer.exchange; {
	case x.told: // whatever it says (RFC 7628 §3.2.3)
		x.told = false
		return s.refuseAuth()
	case ev.Command.Fault == codec.FaultLineTooLong:
		return Actions{Reply: codec.ReplyAuthLineTooLong}
	case ev.Command.Fault != codec.FaultNone:
		return Actions{Reply: codec.ReplyBadLine}
	case string(ev.Command.Arg) == "*":
		return Actions{Reply: codec.ReplyAuthCancelled}
	}
	return s.respond(ev.Command.Arg, codec.LaterResponse)
}

// respond takes a response, and has the client's credentials judged once they are complete.
func (s *Session) respond(text []byte, kind codec.ResponseKind) Actions {
	switch done, fault := s.peer.exchange.Respond(text, kind); {
	case fault != codec.FaultNone:
		return Actions{Reply: codec.ReplyAuthBadResponse}
	case !done:
		return s.challenge()
	}
	s.phase = PhaseAuth
	return Actions{Do: DoAuthenticate}
}

// judged handles the answer to an attempt.
func (s *Session) judged(answer Answer) Actions {
	s.phase = PhaseCommand
	x := s.peer.exchange
	x.answer = answer
	switch {
	case answer.Verdict == AuthAccepted:
		s.peer = &peer{proxy: s.peer.proxy, tls: s.peer.tls, auth: &pipeline.Auth{
			Mechanism: x.Mechanism.String(), Identity: answer.Identity, Backend: answer.Backend, Issuer: answer.Issuer,
		}}
		return Actions{Reply: codec.ReplyAuthenticated}
	case answer.Verdict == AuthUnavailable:
		return Actions{Reply: codec.ReplyAuthUnavailable, Err: answer.Err}
	case x.Mechanism.Token():
		x.told, s.phase = true, PhaseResponse
		return Actions{Reply: codec.ReplyChallenge, Arg: s.settings.refusedToken}
	}
	return s.refuseAuth()
}

// refuseAuth refuses an attempt. Why is said only where the operator wants it so.
func (s *Session) refuseAuth() Actions {
	a := Actions{Reply: codec.ReplyAuthRefused, Err: s.peer.exchange.answer.Err}
	if s.settings.auth.Explain {
		a.Arg = append(append([]byte("("), s.peer.exchange.answer.Reason...), ')')
	}
	return a
}

// TakeCredentials returns those of the exchange that awaits its answer. The secret leaves the
// session: whoever takes it wipes it.
func (s *Session) TakeCredentials() codec.Credentials {
	taken := s.peer.exchange.Credentials
	s.peer.exchange.Secret = nil
	return taken
}

// Hold keeps the answer to an attempt until the client may have it.
func (s *Session) Hold(answer Answer) { s.peer.exchange.answer = answer }

// Attempted returns what the last exchange of AUTH was about, for the log. The names are
// empty when there was none, or it has succeeded.
func (s *Session) Attempted() (user, mechanism string, answer Answer) {
	x := s.known().exchange
	if x == nil {
		return "", "", Answer{}
	}
	return x.User, x.Mechanism.String(), x.answer
}

// Authenticated returns who the client has proved to be, nil for nobody.
func (s *Session) Authenticated() *pipeline.Auth { return s.known().auth }

// OwesRefusal reports whether a client was told by a challenge that its token was refused
// (RFC 7628 §3.2.3), and has not had its 535 yet.
func (s *Session) OwesRefusal() bool {
	x := s.known().exchange
	return x != nil && x.told
}

// OffersAuth reports whether AUTH is offered to the client, so that its lines may be long.
func (s *Session) OffersAuth() bool {
	return s.settings.auth.offered() && (s.known().tls != nil || s.settings.auth.PlainText)
}

// refuseSender returns the reply that refuses a reverse-path on a listener for submission,
// nil for one that is accepted.
func (s *Session) refuseSender(path *codec.Path) *codec.Reply {
	policy, auth := &s.settings.auth, s.known().auth
	if auth == nil || path.Kind == codec.PathNull || policy.Senders == nil || policy.Senders.Allows(auth.Identity, path.Address) {
		return nil
	}
	return codec.ReplySenderNotOwned
}

package codec

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// Mechanism is a SASL mechanism of AUTH (RFC 4954 §4).
type Mechanism uint8

// The mechanisms. The zero value is any other.
const (
	MechanismUnknown     Mechanism = iota
	MechanismPlain                 // RFC 4616
	MechanismLogin                 // draft-murchison-sasl-login
	MechanismOAuthBearer           // RFC 7628
	MechanismXOAuth2               // as Google and Microsoft have it
	mechanismCount
)

var mechanismNames = [mechanismCount]string{"unknown", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}

// String returns the name of the mechanism, "unknown" for MechanismUnknown.
func (m Mechanism) String() string {
	if m >= mechanismCount {
		m = MechanismUnknown
	}
	return mechanismNames[m]
}

// Token reports whether the secret of the mechanism is a bearer token; else it is a
// password.
func (m Mechanism) Token() bool { return m == MechanismOAuthBearer || m == MechanismXOAuth2 }

// Mechanisms returns every mechanism, in the order in which EHLO names them.
func Mechanisms() []Mechanism {
	return []Mechanism{MechanismPlain, MechanismLogin, MechanismOAuthBearer, MechanismXOAuth2}
}

// ParseAuth parses the argument of AUTH: the mechanism, and the initial response as it was
// sent, nil if there is none (RFC 4954 §4). ok is false when there are more words.
func ParseAuth(arg []byte) (m Mechanism, initial []byte, ok bool) {
	word, rest := arg, []byte(nil)
	if i := bytes.IndexAny(arg, " \t"); i >= 0 {
		word, rest = arg[:i], trimLeft(arg[i:])
	}
	for _, each := range Mechanisms() {
		if equalFold(word, mechanismNames[each]) {
			m = each
		}
	}
	return m, rest, len(word) > 0 && !bytes.ContainsAny(rest, " \t")
}

// Credentials are what a client claims in an exchange of AUTH.
type Credentials struct {
	Mechanism Mechanism
	User      string
	// Secret is a password or a bearer token. Wipe sets its octets to zero.
	Secret []byte
	// Acts is whom the client wants to act as (authzid), "" for the user.
	Acts string
}

// Wipe sets the octets of the secret to zero.
func (c *Credentials) Wipe() { clear(c.Secret) }

// Exchange is one exchange of AUTH from the mechanism to the client's credentials. The zero
// value with a mechanism awaits the initial response.
type Exchange struct {
	Credentials
	asked uint8 // challenges that were sent
}

// Challenges of LOGIN, in base64: "Username:" and "Password:".
const (
	challengeUser     = "VXNlcm5hbWU6"
	challengePassword = "UGFzc3dvcmQ6"
)

// Challenge returns the challenge, in base64, for the next response. It is empty where the
// mechanism has the client speak first.
func (x *Exchange) Challenge() string {
	x.asked++
	switch {
	case x.Mechanism != MechanismLogin:
		return ""
	case x.User == "":
		return challengeUser
	}
	return challengePassword
}

// ResponseKind says how a response came.
type ResponseKind uint8

// The kinds of responses.
const (
	// LaterResponse came by itself.
	LaterResponse ResponseKind = iota
	// InitialResponse came with the command, where "=" is the empty one (RFC 4954 §4).
	InitialResponse
)

// Respond takes a response of the client in base64. done reports whether the credentials
// are complete; else another challenge follows. A fault ends the exchange.
func (x *Exchange) Respond(response []byte, kind ResponseKind) (done bool, fault Fault) {
	if kind == InitialResponse && string(response) == "=" {
		response = nil
	}
	text := make([]byte, base64.StdEncoding.DecodedLen(len(response)))
	n, err := base64.StdEncoding.Strict().Decode(text, response)
	if err != nil || bytes.ContainsAny(response, "\r\n") { // which the decoder ignores
		clear(text)
		return false, FaultSyntax
	}
	text = text[:n]
	switch x.Mechanism {
	case MechanismPlain:
		done = x.plain(text)
	case MechanismLogin:
		return x.login(text)
	case MechanismOAuthBearer:
		done = x.oauthBearer(text)
	case MechanismXOAuth2:
		done = x.xoauth2(text)
	}
	if !done {
		clear(text)
		x.Secret = nil // part of the text, which would stay as long as the exchange
		return false, FaultSyntax
	}
	return true, FaultNone
}

// plain parses message = [authzid] NUL authcid NUL passwd (RFC 4616 §2).
func (x *Exchange) plain(text []byte) bool {
	parts := bytes.Split(text, []byte{0})
	if len(parts) != 3 || len(parts[0]) > maxUser {
		return false
	}
	x.Acts, x.Secret = string(parts[0]), parts[2]
	return x.setUser(parts[1])
}

// login takes the user's name, then the password.
func (x *Exchange) login(text []byte) (done bool, fault Fault) {
	if x.User == "" {
		if !x.setUser(text) {
			clear(text) // some clients send the password first
			return false, FaultSyntax
		}
		return false, FaultNone
	}
	if bytes.IndexByte(text, 0) >= 0 {
		clear(text)
		return false, FaultSyntax
	}
	x.Secret = text
	return true, FaultNone
}

// oauthBearer parses client-resp = gs2-header kvsep *kvpair kvsep (RFC 7628 §3.1).
func (x *Exchange) oauthBearer(text []byte) bool {
	header, rest, ok := bytes.Cut(text, []byte{1})
	if !ok {
		return false
	}
	fields := bytes.Split(header, []byte(","))
	if len(fields) != 3 || string(fields[0]) != "n" && string(fields[0]) != "y" || len(fields[2]) != 0 {
		return false
	}
	name, ok := bytes.CutPrefix(fields[1], []byte("a="))
	if !ok {
		return false
	}
	user, ok := unescapeSASLName(name)
	return ok && x.setUser(user) && x.bearer(rest)
}

// unescapeSASLName decodes saslname (RFC 5801 §4): =2C for a comma and =3D for an equals
// sign.
func unescapeSASLName(name []byte) (user []byte, ok bool) {
	for i := 0; i < len(name); i++ {
		if name[i] != '=' {
			user = append(user, name[i])
			continue
		}
		if i+2 >= len(name) {
			return nil, false
		}
		switch string(name[i : i+3]) {
		case "=2C", "=2c":
			user = append(user, ',')
		case "=3D", "=3d":
			user = append(user, '=')
		default:
			return nil, false
		}
		i += 2
	}
	return user, true
}

// xoauth2 parses "user=" name ^A "auth=Bearer " token ^A ^A.
func (x *Exchange) xoauth2(text []byte) bool {
	first, rest, ok := bytes.Cut(text, []byte{1})
	if !ok {
		return false
	}
	name, ok := bytes.CutPrefix(first, []byte("user="))
	return ok && x.setUser(name) && x.bearer(rest)
}

// bearer takes the token out of pairs that each end in ^A, with one more behind the last.
func (x *Exchange) bearer(pairs []byte) bool {
	const scheme = "BEARER "
	for {
		pair, rest, ok := bytes.Cut(pairs, []byte{1})
		switch {
		case !ok:
			return false
		case len(pair) == 0: // the end
			return len(rest) == 0 && x.Secret != nil
		}
		if value, ok := bytes.CutPrefix(pair, []byte("auth=")); ok {
			if x.Secret != nil || len(value) < len(scheme) || !equalFold(value[:len(scheme)], scheme) {
				return false
			}
			x.Secret = trim(value[len(scheme):])
			for _, c := range x.Secret {
				if !is(c, classGraphic) {
					return false
				}
			}
		}
		pairs = rest
	}
}

// maxUser is the longest name of a user in octets. It stays with the session, whose secrets
// do not.
const maxUser = 255

// setUser sets the user, who must have a name in UTF-8 without control characters.
func (x *Exchange) setUser(name []byte) bool {
	if len(name) == 0 || len(name) > maxUser || !utf8.Valid(name) {
		return false
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	x.User = string(name)
	return true
}

package oidc

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"sluice/gateway/identity"
)

// algorithms are those that a signature may have: of public keys alone. With HS256 the
// public key would be the secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// maxIDToken bounds an ID token, which the provider itself has sent.
const maxIDToken = 64 << 10

// token is a signed token that was taken apart. Nothing of it counts before its signature
// was checked.
type token struct {
	jws    *jose.JSONWebSignature
	alg    jose.SignatureAlgorithm
	kid    string
	typ    string
	claims claims
}

// parse takes a token apart: a JWS in compact form (RFC 7515 §3.1) with claims. The parser
// of JSON tells upper from lower case and refuses a name that comes twice.
func parse(text []byte, most int) (*token, *identity.Answer) {
	if len(text) > most {
		return nil, refuse(identity.ReasonToken, "the token is longer than %d bytes", most)
	}
	parts := bytes.Split(text, []byte("."))
	if len(parts) == 5 {
		return nil, refuse(identity.ReasonToken, "the token is encrypted")
	}
	if len(parts) != 3 {
		return nil, refuse(identity.ReasonToken, "it is no signed token (JWT)")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		// The decoder would skip line ends.
		if decoded[i], err = base64.RawURLEncoding.Strict().AppendDecode(nil, part); err != nil ||
			len(part) == 0 || bytes.ContainsAny(part, "\r\n") {
			return nil, refuse(identity.ReasonToken, "a part of the token is not base64url")
		}
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(decoded[0], &header) != nil {
		return nil, refuse(identity.ReasonToken, "the header of the token is not valid JSON")
	}
	t := &token{
		alg: jose.SignatureAlgorithm(claims(header).text("alg")), kid: claims(header).text("kid"), typ: claims(header).text("typ"),
	}
	// jku, x5u, jwk and x5c, by which a token brings its own key, are not looked at.
	_, critical := header["crit"]
	_, encrypted := header["enc"]
	nested := strings.EqualFold(claims(header).text("cty"), "JWT")
	switch {
	case !slices.Contains(algorithms, t.alg):
		return nil, refuse(identity.ReasonToken, "the signature of the token has an algorithm that is not allowed")
	case critical || encrypted || nested:
		return nil, refuse(identity.ReasonToken, "the token is nested, encrypted, or asks for an extension (crit)")
	case header["kid"] != nil && t.kid == "":
		return nil, refuse(identity.ReasonToken, "the key's name (kid) in the token is not valid")
	}
	var err error
	if t.jws, err = jose.ParseSignedCompact(string(text), algorithms); err != nil {
		return nil, refuse(identity.ReasonToken, "the token is malformed")
	}
	if json.Unmarshal(decoded[1], &t.claims) != nil || t.claims == nil {
		return nil, refuse(identity.ReasonToken, "the claims of the token are not valid JSON")
	}
	return t, nil
}

// verify checks the signature of a token by the keys of the provider.
func (p *provider) verify(ctx context.Context, t *token) *identity.Answer {
	known, trouble := p.find(ctx, func(m *metadata) bool { return m.key(t) != nil })
	if trouble != nil {
		return trouble
	}
	k := known.key(t)
	if k == nil {
		return refuse(identity.ReasonToken, "the token is signed by a key that the provider does not have")
	}
	if _, err := t.jws.Verify(k.public); err != nil {
		return refuse(identity.ReasonToken, "the signature of the token is wrong")
	}
	return nil
}

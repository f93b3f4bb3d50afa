package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"strings"
)

// The sizes of RSA keys that are trusted (RFC 8301 §3.2), and those that are verified:
// a larger key costs much and nobody need support it.
const (
	minBits = 1024
	maxBits = 4096
)

// key is a record that holds a public key (RFC 6376 §3.6.1).
type key struct {
	rsa     *rsa.PublicKey
	ed25519 ed25519.PublicKey
	strict  bool // t=s: i= may not be below d=
	testing bool // t=y
	sha256  bool // h= allows it
	email   bool // s= allows it
}

// parseKey reads a record, and returns why it has no key that can be used.
func parseKey(record string) (key, Reason) {
	tags, ok := parseTags(make([]tag, 0, 8), []byte(record))
	if v := find(tags, "v"); v != nil && (string(v.value) != "DKIM1" || &tags[0] != v) {
		return key{}, ReasonNoKey
	}
	p := find(tags, "p")
	switch {
	case !ok && find(tags, "v") != nil:
		return key{}, ReasonBadKey
	case !ok || p == nil:
		return key{}, ReasonNoKey
	case len(p.value) == 0:
		return key{}, ReasonRevoked
	}
	service := []byte(text(tags, "s", "*"))
	k := key{
		sha256: hasItem([]byte(text(tags, "h", "sha256")), "sha256"),
		email:  hasItem(service, "*") || hasItem(service, "email"),
	}
	flags := []byte(text(tags, "t", ""))
	k.strict, k.testing = hasItem(flags, "s"), hasItem(flags, "y")
	data, ok := decode(p.value)
	if !ok {
		return key{}, ReasonBadKey
	}
	switch strings.ToLower(text(tags, "k", "rsa")) {
	case "rsa":
		k.rsa = parseRSA(data)
	case "ed25519":
		if len(data) == ed25519.PublicKeySize {
			k.ed25519 = data
		}
	}
	if k.rsa == nil && k.ed25519 == nil {
		return key{}, ReasonBadKey
	}
	return k, ReasonNone
}

// parseRSA returns a key in the form of X.509, or in the bare one that RFC 6376 §3.6.1
// describes, or nil.
func parseRSA(data []byte) *rsa.PublicKey {
	if k, err := x509.ParsePKIXPublicKey(data); err == nil {
		k, _ := k.(*rsa.PublicKey)
		return k
	}
	k, err := x509.ParsePKCS1PublicKey(data)
	if err != nil {
		return nil
	}
	return k
}

// verify returns what the key says about a signature of a message with that body.
func (k key) verify(s *signature, body *lengths) (Verdict, Reason) {
	hash := body.sum(s.length)
	kind := k.rsa != nil
	if s.result.Algorithm == "ed25519-sha256" {
		kind = k.ed25519 != nil
	}
	switch {
	case !kind || !k.sha256 || !k.email || k.strict && s.identity != s.result.Domain:
		return PermError, ReasonKeyUse
	case k.rsa != nil && k.rsa.N.BitLen() < minBits:
		return Policy, ReasonSmallKey
	case k.rsa != nil && k.rsa.N.BitLen() > maxBits:
		return Policy, ReasonLargeKey
	case hash == nil:
		return PermError, ReasonShort
	case !bytes.Equal(hash, s.bodyHash):
		return Fail, ReasonBody
	case !k.valid(s):
		return Fail, ReasonSignature
	case s.length >= 0 && s.length < body.n:
		// Whoever reads the message would take what follows for signed too (§8.2).
		return Policy, ReasonLength
	case s.open:
		// Python's email takes such a field, and what follows it, for text.
		return Policy, ReasonOldForm
	}
	return Pass, ReasonNone
}

// valid reports whether the key made the signature.
func (k key) valid(s *signature) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, s.digest[:], s.value) == nil
	}
	return ed25519.Verify(k.ed25519, s.digest[:], s.value)
}

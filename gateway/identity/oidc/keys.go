package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys = 100
	maxKey  = 16 << 10
	// leastRSA is the least bits of a modulus (RFC 7518 §3.3). go-jose takes 4096 at most.
	leastRSA = 2048
)

// key is a public key that the provider signs with.
type key struct {
	id     string
	alg    string // the only one that it is for, "" for any that fits
	public any
}

var (
	errNoKeys     = errors.New("there is no key to check a token with")
	errTooManyKey = fmt.Errorf("there are more than %d keys", maxKeys)
)

// readKeys reads a set of keys (RFC 7517 §5). It leaves out those that are for something
// else, too weak, or of a kind that is not known.
func readKeys(body []byte, ofIssuer func(issuer string) bool) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("no set of keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, errTooManyKey
	}
	var keys []key
	for _, raw := range set.Keys {
		var of struct {
			Issuer string `json:"issuer"`
		}
		if len(raw) > maxKey || json.Unmarshal(raw, &of) != nil || !ofIssuer(of.Issuer) {
			continue
		}
		if k, ok := readKey(raw); ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

// readKey reads a key, and reports whether it can be used.
func readKey(raw []byte) (key, bool) {
	// What else a key may have, such as certificates, is not looked at.
	var bare struct {
		Type  string `json:"kty"`
		ID    string `json:"kid,omitempty"`
		Use   string `json:"use,omitempty"`
		Alg   string `json:"alg,omitempty"`
		Curve string `json:"crv,omitempty"`
		N     string `json:"n,omitempty"`
		E     string `json:"e,omitempty"`
		X     string `json:"x,omitempty"`
		Y     string `json:"y,omitempty"`
	}
	if json.Unmarshal(raw, &bare) != nil || bare.Use != "" && bare.Use != "sig" {
		return key{}, false
	}
	text, err := json.Marshal(bare)
	if err != nil {
		return key{}, false
	}
	var web jose.JSONWebKey
	if web.UnmarshalJSON(text) != nil || !web.Valid() {
		return key{}, false
	}
	if public, ok := web.Key.(*rsa.PublicKey); ok && public.N.BitLen() < leastRSA {
		return key{}, false
	}
	return key{id: bare.ID, alg: bare.Alg, public: web.Key}, true
}

// fits reports whether a signature by alg may be checked with the key.
func (k *key) fits(alg jose.SignatureAlgorithm) bool {
	if k.alg != "" && k.alg != string(alg) {
		return false
	}
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		return alg[0] == 'R' || alg[0] == 'P'
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && public.Curve == elliptic.P256() ||
			alg == jose.ES384 && public.Curve == elliptic.P384() ||
			alg == jose.ES512 && public.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// key returns the key that a token names, nil if there is none. A token that names none
// has the provider's only one.
func (m *metadata) key(t *token) *key {
	for i := range m.keys {
		if k := &m.keys[i]; (k.id == t.kid || t.kid == "" && len(m.keys) == 1) && k.fits(t.alg) {
			return k
		}
	}
	return nil
}

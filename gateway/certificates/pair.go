package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxChain bounds the certificates of a chain, all of which each client is sent. A file of
// many is a list of authorities.
const maxChain = 16

// Sizes of RSA keys in bits. crypto/rsa refuses to sign with a smaller one than the first,
// and many clients refuse one below the second.
const (
	leastRSA   = 1024
	advisedRSA = 2048
)

// parsePair makes p the pair in the texts of its two files.
func (p *part) parsePair(texts [][]byte) *Fault {
	chain, err := parseChain(texts[0])
	if err != nil {
		return p.fault(0, resultInvalid, err)
	}
	key, err := parseKey(texts[1])
	if err != nil {
		return p.fault(1, resultInvalid, err)
	}
	switch at := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return isKeyOf(key, c) }); {
	case at < 0:
		return p.fault(1, resultMismatched, fmt.Errorf("is not the key of the certificate in %s", p.files[0].path))
	case at > 0:
		return p.fault(0, resultMismatched, fmt.Errorf("begins with another certificate than that of the key, which is number %d: the server's own comes first", at+1))
	}
	p.pair = &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		p.pair.Certificate = append(p.pair.Certificate, c.Raw)
	}
	for _, text := range chainWarnings(chain) {
		p.warnings = append(p.warnings, p.files[0].path+" "+text)
	}
	return nil
}

// parseChain returns the certificates of a text: the server's own and those that vouch for
// it. Other blocks do not count, since a file may hold the key, too.
func parseChain(text []byte) ([]*x509.Certificate, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, fmt.Errorf("has a certificate, number %d, that cannot be read: %w", len(chain)+1, err)
		}
		chain = append(chain, c)
	}
	switch {
	case len(chain) > maxChain:
		return nil, fmt.Errorf("has %d certificates: a chain has at most %d", len(chain), maxChain)
	case len(chain) > 0:
		return chain, nil
	case slices.ContainsFunc(blocks, isKey):
		return nil, errors.New("has a private key and no certificate; are the two files exchanged?")
	case slices.ContainsFunc(blocks, func(b *pem.Block) bool { return strings.HasSuffix(b.Type, "CERTIFICATE REQUEST") }):
		return nil, errors.New("has the request for a certificate, not the certificate")
	}
	return nil, errors.New("has no certificate")
}

// parseKey returns the private key of a text. Its errors say nothing of the key.
func parseKey(text []byte) (crypto.Signer, error) {
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(blocks, isKey)
	switch {
	case at < 0 && slices.ContainsFunc(blocks, func(b *pem.Block) bool { return b.Type == "CERTIFICATE" }):
		return nil, errors.New("has a certificate and no private key; are the two files exchanged?")
	case at < 0:
		return nil, errors.New("has no private key")
	case isEncrypted(blocks[at]):
		return nil, errors.New("has a key with a passphrase, which nobody could type; openssl pkey -in <it> -out <another> writes it without one")
	}
	key := decodeKey(blocks[at].Bytes)
	switch of := key.(type) {
	case *rsa.PrivateKey:
		if of.N.BitLen() < leastRSA {
			return nil, fmt.Errorf("has an RSA key of %d bits: at least %d are needed", of.N.BitLen(), leastRSA)
		}
		return of, nil
	case *ecdsa.PrivateKey:
		if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, of.Curve) {
			return nil, errors.New("has a key on a curve that TLS does not use: P-256, P-384 and P-521 are used")
		}
		return of, nil
	case ed25519.PrivateKey:
		return of, nil
	}
	return nil, errors.New("has a private key that is damaged or neither ECDSA, RSA nor Ed25519")
}

// decodeKey returns the private key in PKCS #8, PKCS #1 or SEC 1, nil if it is none.
func decodeKey(der []byte) any {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

// isKeyOf reports whether key is that of the certificate c.
func isKeyOf(key crypto.Signer, c *x509.Certificate) bool {
	of, ok := c.PublicKey.(interface {
		Equal(other crypto.PublicKey) bool
	})
	return ok && of.Equal(key.Public())
}

// chainWarnings returns what clients may not like in a chain, whatever the time.
func chainWarnings(chain []*x509.Certificate) (all []string) {
	leaf := chain[0]
	for i, c := range chain[1:] {
		if !bytes.Equal(chain[i].RawIssuer, c.RawSubject) {
			all = append(all, fmt.Sprintf("has certificates out of order: number %d is not that of the issuer of number %d", i+2, i+1))
			break
		}
	}
	// An authority that says where its certificate is to be had is an intermediate one, at
	// least of public ones.
	if len(chain) == 1 && len(leaf.IssuingCertificateURL) > 0 && !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		all = append(all, "has the server's own certificate alone: senders that verify miss the one between it and the root (certbot: fullchain.pem)")
	}
	if len(leaf.DNSNames) == 0 {
		all = append(all, "names no host (subjectAltName): senders that verify refuse it")
	}
	if uses := leaf.ExtKeyUsage; len(uses) > 0 && !slices.Contains(uses, x509.ExtKeyUsageServerAuth) && !slices.Contains(uses, x509.ExtKeyUsageAny) {
		all = append(all, "is not for servers (extendedKeyUsage): senders that verify refuse it")
	}
	if key, ok := leaf.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() < advisedRSA {
		all = append(all, fmt.Sprintf("has an RSA key of %d bits: many senders refuse less than %d", key.N.BitLen(), advisedRSA))
	}
	return all
}

// longSoon is how many days before its end a certificate is warned of. One that lives
// shorter is warned of in the last sixth of its life.
const longSoon = 14 * 24 * time.Hour

// expiry returns what is wrong with the time of a certificate, "" for nothing.
func expiry(c *x509.Certificate, now time.Time) string {
	left := c.NotAfter.Sub(now)
	switch {
	case left < 0:
		return "expired on " + day(c.NotAfter) + ": senders that verify refuse it"
	case now.Before(c.NotBefore):
		return "is valid only from " + day(c.NotBefore) + " on: is the clock right?"
	case left < min(longSoon, c.NotAfter.Sub(c.NotBefore)/6):
		return fmt.Sprintf("expires on %s, in %.1f days", day(c.NotAfter), left.Hours()/24)
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// namesOf returns the names in a certificate, but not all of many.
func namesOf(c *x509.Certificate) []string {
	if names := c.DNSNames; len(names) > 8 {
		return append(slices.Clone(names[:8]), "…")
	}
	return c.DNSNames
}

// keyKind describes the key of a certificate.
func keyKind(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

// TLSA returns the data of a TLSA record that pins the key of a certificate: DANE-EE, the
// public key, SHA-256 (RFC 6698 §2.1, RFC 7672 §3.1.1).
func TLSA(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "3 1 1 " + hex.EncodeToString(sum[:])
}

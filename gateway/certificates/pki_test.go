package certificates

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKey is one for all tests, as small as it may be.
var rsaKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, leastRSA)
	if err != nil {
		panic(err)
	}
	return key
})

var serial int64

// issue returns a certificate for key that a vouches for; a nil authority lets it vouch
// for itself.
func (a *authority) issue(t testing.TB, key crypto.Signer, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	if edit != nil {
		edit(template)
	}
	parent, by := template, key
	if a != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// authority returns one that a vouches for.
func (a *authority) authority(t testing.TB, name string) *authority {
	t.Helper()
	key := newKey(t)
	return &authority{key: key, cert: a.issue(t, key, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA = name, true
	})}
}

// named returns an edit for a certificate of hosts.
func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func certPEM(certs ...*x509.Certificate) string {
	text := ""
	for _, c := range certs {
		text += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text
}

func keyPEM(t testing.TB, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// write writes a file that only its owner may read, and returns its path.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePair writes a fresh certificate that vouches for itself, and its key, in the place
// of those that are there.
func writePair(t testing.TB, dir string, names ...string) (Pair, *x509.Certificate) {
	t.Helper()
	key := newKey(t)
	cert := (*authority)(nil).issue(t, key, named(names...))
	return Pair{write(t, dir, "cert.pem", certPEM(cert)), write(t, dir, "key.pem", keyPEM(t, key))}, cert
}

// load loads settings that have no fault.
func load(t testing.TB, s Settings) *Set {
	t.Helper()
	set, faults := Load(s)
	for _, f := range faults {
		t.Fatalf("%s: %v", f.Key, f)
	}
	return set
}

package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// selfSignedLife is how long a certificate for trying out is valid.
const selfSignedLife = 365 * 24 * time.Hour

// SelfSigned writes a certificate that vouches for itself and its key, cert.pem and
// key.pem, into the folder dir, which it makes if need be. It returns their paths and the
// certificate. The names are of hosts, or IP addresses. Without replace it leaves what is
// there and returns an error that is fs.ErrExist.
func SelfSigned(dir string, names []string, replace bool) (Pair, *x509.Certificate, error) {
	pair := Pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	cert, key, leaf, err := newSelfSigned(names, time.Now())
	if err != nil {
		return pair, nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return pair, nil, err
	}
	for _, path := range []string{pair.CertFile, pair.KeyFile} {
		if _, err := os.Lstat(path); err == nil && !replace {
			return pair, nil, fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
	}
	if err := writeFile(pair.KeyFile, key, 0o600); err != nil {
		return pair, nil, err
	}
	return pair, leaf, writeFile(pair.CertFile, cert, 0o644)
}

// Trial returns a pair for trying out in the folder dir. It makes one if there is none, or
// if it expires soon.
func Trial(dir string, names []string) (Pair, error) {
	pair := Pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	if _, err := os.Stat(pair.CertFile); err == nil {
		set, faults := Load(Settings{Pairs: []Pair{pair}})
		if len(faults) > 0 {
			return pair, faults[0]
		}
		if set.parts[0].expiry(time.Now()) == "" {
			return pair, nil
		}
	}
	pair, _, err := SelfSigned(dir, names, true)
	return pair, err
}

// newSelfSigned returns a certificate and its key in PEM.
func newSelfSigned(names []string, now time.Time) (cert, key []byte, leaf *x509.Certificate, err error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"Sluice, self-signed"}},
		NotBefore: now.Add(-time.Hour), // for clients whose clock is late
		NotAfter:  now.Add(selfSignedLife),
		KeyUsage:  x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if !isHostName(name) {
			return nil, nil, nil, fmt.Errorf("%q is neither the name of a host, such as mx.example.net, nor an IP address", name)
		} else {
			template.DNSNames = append(template.DNSNames, strings.ToLower(name))
		}
	}
	if len(names) == 0 {
		return nil, nil, nil, errors.New("a certificate needs a name")
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, nil, err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, nil, err
	}
	leaf, err = x509.ParseCertificate(der)
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), leaf, err
}

// isHostName reports whether name is a domain of letters, digits and hyphens, perhaps with
// an asterisk as its first label.
func isHostName(name string) bool {
	name = strings.TrimPrefix(strings.ToLower(name), "*.")
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(name) <= 253
}

// writeFile writes a file that is there as a whole or not at all.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
	return err
}

package secure

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"sluice/gateway/driver"
	"sluice/internal/testkit"
)

// TestCauses has handshakes fail in every way that has a cause of its own.
func TestCauses(t *testing.T) {
	for what, c := range map[string]struct {
		cause  driver.TLSCause
		change func(ours, theirs *tls.Config)
	}{
		"no version": {driver.TLSNoShared, func(ours, theirs *tls.Config) {
			ours.MinVersion, theirs.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
		}},
		"no cipher": {driver.TLSNoShared, func(ours, theirs *tls.Config) {
			theirs.MaxVersion = tls.VersionTLS12
			ours.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			theirs.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
		}},
		"no group": {driver.TLSNoShared, func(ours, theirs *tls.Config) {
			ours.CurvePreferences, theirs.CurvePreferences = []tls.CurveID{tls.X25519}, []tls.CurveID{tls.CurveP256}
		}},
		"no certificate of ours": {driver.TLSCertificate, func(ours, _ *tls.Config) { ours.Certificates = nil }},
		"ours is not trusted":    {driver.TLSCertificate, func(_, theirs *tls.Config) { theirs.InsecureSkipVerify = false }},
		"none of the peer":       {driver.TLSCertificate, func(ours, _ *tls.Config) { ours.ClientAuth = tls.RequireAnyClientCert }},
		"a key that cannot sign": {driver.TLSInternal, func(ours, _ *tls.Config) {
			ours.Certificates[0].PrivateKey = brokenKey{ours.Certificates[0].PrivateKey.(crypto.Signer)}
		}},
		"the peer's is not trusted": {driver.TLSCertificate, func(ours, theirs *tls.Config) {
			ours.ClientAuth, ours.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			theirs.Certificates = []tls.Certificate{testkit.ECDSAPair()}
		}},
	} {
		t.Run(what, func(t *testing.T) {
			ours, theirs := serverConfig(), clientConfig()
			c.change(ours, theirs)
			if m := meet(t, newPool(t, 8, 1, ours), "192.0.2.1", theirs); m.Cause != c.cause || m.Err == nil {
				t.Errorf("%v has the cause %q, not %q", m.Err, m.Cause, c.cause)
			}
		})
	}
}

// brokenKey is a key that cannot sign.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no")
}

// TestCausesOfAlerts has the peer end handshakes with alerts, or with what is no TLS.
func TestCausesOfAlerts(t *testing.T) {
	theirs := clientConfig()
	theirs.MaxVersion = tls.VersionTLS12 // alerts of TLS 1.3 are sealed
	first := hello(t, theirs)
	alert := func(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }
	for _, c := range []struct {
		in    []byte
		cause driver.TLSCause
	}{
		{alert(40), driver.TLSNoShared}, {alert(70), driver.TLSNoShared}, {alert(71), driver.TLSNoShared},
		{alert(42), driver.TLSCertificate}, {alert(43), driver.TLSCertificate}, {alert(44), driver.TLSCertificate},
		{alert(45), driver.TLSCertificate}, {alert(46), driver.TLSCertificate}, {alert(48), driver.TLSCertificate},
		{alert(10), driver.TLSProtocol}, {alert(50), driver.TLSProtocol}, {alert(80), driver.TLSProtocol}, {alert(0), driver.TLSProtocol},
		{[]byte{23, 3, 3, 0, 1, 1}, driver.TLSProtocol}, {first, driver.TLSProtocol}, {nil, driver.TLSProtocol},
	} {
		p := newPool(t, 8, 1, serverConfig())
		h, loop := newHandshake("192.0.2.1", bytes.Clone(first))
		p.Begin(h)
		loop.comes(t)
		h.In = c.in
		p.Continue(h)
		loop.comes(t)
		if !h.Done || h.Cause != c.cause {
			t.Errorf("%x: done %t, %v has the cause %q", c.in[:min(len(c.in), 7)], h.Done, h.Err, h.Cause)
		}
	}
}

// TestNoSharedSignature has a client that knows none of our certificate's signatures.
func TestNoSharedSignature(t *testing.T) {
	in := hello(t, clientConfig())
	for i := range len(in) - 6 { // signature_algorithms (RFC 8446 §4.2.3)
		n := int(binary.BigEndian.Uint16(in[i+2:]))
		if in[i] == 0 && in[i+1] == 13 && n == int(binary.BigEndian.Uint16(in[i+4:]))+2 && n < 100 {
			for at := i + 6; at < i+4+n; at += 2 {
				in[at], in[at+1] = 8, 7 // ed25519
			}
		}
	}
	p := newPool(t, 8, 1, serverConfig())
	h, loop := newHandshake("192.0.2.1", in)
	p.Begin(h)
	loop.comes(t)
	if !h.Done || h.Cause != driver.TLSNoShared {
		t.Errorf("done %t, %v has the cause %q", h.Done, h.Err, h.Cause)
	}
}

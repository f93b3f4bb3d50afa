package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// quiet are options that report to nobody.
func quiet() Options {
	return Options{Reloaded: func(string) {}, Logger: slog.New(slog.DiscardHandler)}
}

// stackOf returns the stack of a panic of f.
func stackOf(f func()) (stack string) {
	defer func() {
		if recover() != nil {
			stack = string(debug.Stack())
		}
	}()
	f()
	return ""
}

// connected returns the ends of a connection. Both may write before they read, as TLS 1.3
// does, which a net.Pipe would not bear.
func connected() (a, b net.Conn, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	if b, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		return nil, nil, err
	}
	a, err = listener.Accept()
	return a, b, err
}

// shake lets a client shake hands with a server of config. It returns what each of them
// sees.
func shake(config, client *tls.Config) (seen, served tls.ConnectionState, err error) {
	a, b, err := connected()
	if err != nil {
		return seen, served, err
	}
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(time.Minute)
	_ = a.SetDeadline(deadline)
	_ = b.SetDeadline(deadline)
	server := tls.Server(a, config)
	ended := make(chan error, 1)
	go func() {
		err := server.Handshake()
		if err == nil {
			_, err = server.Write([]byte("220"))
		}
		if err != nil {
			a.Close()
		}
		ended <- err
	}()
	c := tls.Client(b, client)
	if err = c.Handshake(); err == nil {
		_, err = io.ReadFull(c, make([]byte, 3)) // takes the tickets, too
	}
	seen = c.ConnectionState()
	if err != nil {
		b.Close()
		<-ended
		return seen, served, err
	}
	err = <-ended
	return seen, server.ConnectionState(), err
}

// anyServer is a client that verifies nothing, and computes little.
func anyServer() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}}
}

func TestPick(t *testing.T) {
	var pairs []Pair
	issuer := (*authority)(nil)
	for _, c := range []struct {
		names string
		rsa   bool
	}{
		{"mx.example.net MX2.example.net", false}, {"mx.example.net", true}, {"*.example.org", false}, {"mx.example.org", false}, {"only.example.net", true},
	} {
		key := newKey(t)
		if c.rsa {
			key = rsaKey()
		}
		dir := t.TempDir()
		cert := issuer.issue(t, key, named(strings.Fields(c.names)...))
		pairs = append(pairs, Pair{write(t, dir, "c", certPEM(cert)), write(t, dir, "k", keyPEM(t, key))})
	}
	set := load(t, Settings{Pairs: pairs})
	const modern, onlyRSA = tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256
	for _, c := range []struct {
		name   string
		scheme tls.SignatureScheme
		want   int
	}{
		{"mx.example.net", modern, 0},
		{"mx.example.net", onlyRSA, 1},
		{"MX.Example.NET", onlyRSA, 1},
		{"mx2.example.net", modern, 0},
		{"mx2.example.net", onlyRSA, 1}, // another name is better than none
		{"a.example.org", modern, 2},
		{"mx.example.org", modern, 3}, // exact before wildcard
		{"a.b.example.org", modern, 0},
		{"example.org", modern, 0},
		{"only.example.net", onlyRSA, 4},
		{"only.example.net", modern, 0},
		{"", modern, 0},
		{"", onlyRSA, 1},
		{"unknown.example", onlyRSA, 1},
		{"*.example.org", modern, 2},
		{"mx.example.net", tls.Ed25519, 0}, // none can be used
	} {
		hello := &tls.ClientHelloInfo{ServerName: c.name, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{c.scheme}}
		got, err := set.pick(hello)
		if err != nil || got != set.all[c.want] || hello.ServerName != c.name {
			t.Errorf("%q %v: %v, want number %d (%v)", c.name, c.scheme, got.Leaf.DNSNames, c.want, err)
		}
	}

	// The same by the wire, of a client of TLS 1.2 that knows no ECDSA.
	client := anyServer()
	client.ServerName, client.MaxVersion = "mx.example.net", tls.VersionTLS12
	client.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	seen, _, err := shake(set.config, client)
	if err != nil || !seen.PeerCertificates[0].Equal(set.all[1].Leaf) {
		t.Errorf("a client without ECDSA: %v", err)
	}
}

func TestVersions(t *testing.T) {
	pair, _ := writePair(t, t.TempDir(), "mx.example.net")
	for _, c := range []struct {
		min  string
		max  uint16
		want uint16 // 0 for a refusal
	}{
		{"1.2", 0, tls.VersionTLS13}, {"1.2", tls.VersionTLS12, tls.VersionTLS12}, {"1.2", tls.VersionTLS11, 0},
		{"1.3", 0, tls.VersionTLS13}, {"1.3", tls.VersionTLS12, 0},
	} {
		client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.max}
		seen, _, err := shake(load(t, Settings{Pairs: []Pair{pair}, MinVersion: c.min}).config, client)
		if (err == nil) != (c.want != 0) || err == nil && seen.Version != c.want {
			t.Errorf("at least %s, client at most %x: %x, %v", c.min, c.max, seen.Version, err)
		}
		if err == nil && c.max == 0 && seen.CurveID != tls.X25519MLKEM768 {
			t.Errorf("the group is %v", seen.CurveID)
		}
	}
}

// TestClientAuth: with request no certificate of a client ends a handshake, and whether it
// is trusted is told apart.
func TestClientAuth(t *testing.T) {
	root, stranger := (*authority)(nil).authority(t, "root"), (*authority)(nil).authority(t, "stranger")
	between := root.authority(t, "between")
	dir := t.TempDir()
	pair, _ := writePair(t, dir, "mx.example.net")
	ca := write(t, dir, "ca", certPEM(root.cert))
	certificate := func(a *authority, edit func(*x509.Certificate), more ...*x509.Certificate) []tls.Certificate {
		key := newKey(t)
		c := tls.Certificate{PrivateKey: key, Certificate: [][]byte{a.issue(t, key, edit).Raw}}
		for _, m := range more {
			c.Certificate = append(c.Certificate, m.Raw)
		}
		return []tls.Certificate{c}
	}
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	server := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	sent := map[string][]tls.Certificate{
		"none": nil, "known": certificate(root, nil), "by another": certificate(between, nil, between.cert),
		"unknown": certificate(stranger, nil), "self-signed": certificate(nil, nil), "expired": certificate(root, expired),
		"of a server": certificate(root, server), "incomplete": certificate(between, nil),
	}
	for _, c := range []struct{ auth, ca, passes, trusted string }{
		{ClientAuthNone, "", "all", ""},
		{ClientAuthRequest, "", "all", ""},
		{ClientAuthRequest, ca, "all", "known, by another"},
		{ClientAuthRequire, ca, "known, by another", "known, by another"},
	} {
		k := NewKeeper(load(t, Settings{Pairs: []Pair{pair}, ClientAuth: c.auth, ClientCAFile: c.ca}), quiet())
		for name, certs := range sent {
			client := anyServer()
			// It sends what it has, whichever authorities the server names.
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if certs == nil {
					return &tls.Certificate{}, nil
				}
				return &certs[0], nil
			}
			_, served, err := shake(k.Config(), client)
			if want := c.passes == "all" || strings.Contains(c.passes, name); (err == nil) != want {
				t.Errorf("%s, %s: %v", c.auth, name, err)
			}
			if got, want := err == nil && k.Trusts(&served), strings.Contains(c.trusted, name); got != want {
				t.Errorf("%s, %s: trusted %t", c.auth, name, got)
			}
			if sent := len(served.PeerCertificates) > 0; err == nil && sent != (certs != nil && c.auth != ClientAuthNone) {
				t.Errorf("%s, %s: it was sent: %t", c.auth, name, sent)
			}
		}
	}
}

// TestResumedClients: who was trusted by an authority of before does not resume a session
// past those of now, though the ticket keys stay.
func TestResumedClients(t *testing.T) {
	before, after := (*authority)(nil).authority(t, "before"), (*authority)(nil).authority(t, "after")
	dir, key := t.TempDir(), newKey(t)
	pair, _ := writePair(t, dir, "mx.example.net")
	settings := Settings{Pairs: []Pair{pair}, ClientAuth: ClientAuthRequire, ClientCAFile: write(t, dir, "ca", certPEM(before.cert)), TicketsFile: write(t, dir, "t", strings.Repeat("ab", 32))}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		settings.ClientCAFile = write(t, dir, "ca", certPEM(before.cert))
		client := anyServer()
		client.ServerName, client.MaxVersion, client.ClientSessionCache = "mx.example.net", version, tls.NewLRUClientSessionCache(1)
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{PrivateKey: key, Certificate: [][]byte{before.issue(t, key, nil).Raw}}, nil
		}
		for i := range 2 {
			if seen, _, err := shake(load(t, settings).config, client); err != nil || seen.DidResume != (i == 1) {
				t.Errorf("%x, time %d: resumed %t, %v", version, i, seen.DidResume, err)
			}
		}
		write(t, dir, "ca", certPEM(after.cert))
		if _, _, err := shake(load(t, settings).config, client); err == nil {
			t.Errorf("%x: a client that nobody vouches for any more", version)
		}
	}
}

// TestTickets: gateways with the same file resume each other's sessions; a key is changed
// without a full handshake where the new one was added before it came first.
func TestTickets(t *testing.T) {
	pair, _ := writePair(t, t.TempDir(), "mx.example.net")
	const a, b, c = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "qrstuvwxyzqrstuvwxyzqrstuvwxyzqrstuvwxyz1234\n", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01\n"
	gateway := func(keys string) *tls.Config {
		s := Settings{Pairs: []Pair{pair}}
		if keys != "" {
			s.TicketsFile = write(t, t.TempDir(), "t", keys)
		}
		return load(t, s).config
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := anyServer()
		client.ServerName, client.MaxVersion = "mx.example.net", version
		client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i, step := range []struct {
			keys    string
			resumed bool
		}{
			{a, false}, {a, true}, {a + b, true}, {b + a, true}, {c + b, true}, {c, true}, {a, false}, {"", false}, {"", false},
		} {
			seen, _, err := shake(gateway(step.keys), client)
			if err != nil || seen.DidResume != step.resumed {
				t.Errorf("%x, step %d: resumed %t, %v", version, i, seen.DidResume, err)
			}
		}
	}
	config, client := gateway(""), anyServer()
	client.ServerName, client.ClientSessionCache = "mx.example.net", tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		if seen, _, err := shake(config, client); err != nil || seen.DidResume != (i == 1) {
			t.Errorf("one process, time %d: resumed %t, %v", i, seen.DidResume, err)
		}
	}
}

package config

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"sluice/gateway/certificates"
)

// testPair is one that does not expire in the life of this code. Its key is in the clear
// for everybody, so nobody is to use it.
var testPair = certificates.Pair{CertFile: "testdata/tls/cert.pem", KeyFile: "testdata/tls/key.pem"}

// TestVersionWithoutQuotes: YAML takes it for a fraction.
func TestVersionWithoutQuotes(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		c, err := loadOn(testMachine, Sources{File: file(t, "accept: {any: true}\ntls: {min_version: "+version+"}\n")})
		if err != nil || c.TLS.MinVersion != version {
			t.Errorf("%s: %q, %v", version, c.TLS.MinVersion, err)
		}
	}
}

// TestCertificatesInTheEnvironment: they are written as in the file, on one line.
func TestCertificatesInTheEnvironment(t *testing.T) {
	c, err := loadOn(testMachine, Sources{Env: []string{
		`SLUICE_TLS_CERTIFICATES=[{cert_file: testdata/tls/cert.pem, key_file: testdata/tls/key.pem}]`,
		`SLUICE_LISTENERS=[{address: "127.0.0.1:2525", tls: required}, {address: "127.0.0.1:2465", tls: implicit}]`,
	}})
	if err != nil || len(c.TLS.Certificates) != 1 || c.TLS.Certificates[0] != testPair || c.Listeners[0].TLS != TLSRequired || c.Listeners[1].TLS != TLSImplicit {
		t.Errorf("%+v %+v %v", c.TLS, c.Listeners, err)
	}
	if lines := c.Certificates().Describe(); len(lines) != 1 || !strings.Contains(lines[0], "mx.example.net, ECDSA P-256, until 2126-") || !strings.Contains(lines[0], "TLSA 3 1 1 ") {
		t.Errorf("%q", lines)
	}
}

func TestTLSWarnings(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*Config)
		want string // "" for no warning
	}{
		{"starttls", func(c *Config) { c.Listeners[0].TLS = TLSStart }, ""},
		{"no listener", func(*Config) {}, "tls.certificates has no effect"},
		{"required on port 25", func(c *Config) { public(c); c.Listeners[0].TLS = TLSRequired }, "RFC 3207 §4"},
		{"required on another", func(c *Config) {
			public(c)
			c.Listeners[0] = ListenerConfig{Address: "192.0.2.1:587", ProxyProtocol: ProxyOff, TLS: TLSRequired}
		}, ""},
		{"authorities for nobody", func(c *Config) { c.Listeners[0].TLS, c.TLS.ClientCAFile = TLSStart, testPair.CertFile }, "tls.client_ca_file has no effect"},
		{"certificates that need not be", func(c *Config) {
			c.Listeners[0].TLS, c.TLS.ClientCAFile, c.TLS.ClientAuth = TLSStart, testPair.CertFile, certificates.ClientAuthRequire
		}, "who has no certificate sends it in plain text"},
	} {
		conf := DefaultOn(testMachine)
		conf.TLS.Certificates = []certificates.Pair{testPair}
		c.set(&conf)
		if err := conf.Validate(ForServe); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		got := strings.Join(conf.tlsWarnings(), "\n")
		for line := range strings.Lines(got) { // git keeps no permissions
			if strings.Contains(line, "is open to every user") {
				got = strings.TrimSpace(strings.Replace(got, line, "", 1))
			}
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestNoKeyIsShown: neither problems nor output have what is in the files.
func TestNoKeyIsShown(t *testing.T) {
	secrets := map[string]bool{}
	for _, name := range []string{"key.pem", "other-key.pem", "tickets", "tickets-short"} {
		text, err := os.ReadFile("testdata/tls/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.ContainsAny(line, "-#") {
				secrets[line] = true
			}
		}
	}
	var shown strings.Builder
	for _, text := range []string{
		"{certificates: [{cert_file: testdata/tls/cert.pem, key_file: testdata/tls/key.pem}], tickets_file: testdata/tls/tickets}",
		"{certificates: [{cert_file: testdata/tls/cert.pem, key_file: testdata/tls/other-key.pem}]}",
		"{certificates: [{cert_file: testdata/tls/key.pem, key_file: testdata/tls/tickets}], client_ca_file: testdata/tls/key.pem}",
		"{tickets_file: testdata/tls/tickets-short}", "{tickets_file: testdata/tls/key.pem}",
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, "accept: {any: true}\ntls: "+text+"\n")})
		fmt.Fprintf(&shown, "%v %v %+v %#v %v", err, c.Warnings(), c, c, c.Certificates())
		if err := c.Print(&shown); err != nil {
			t.Fatal(err)
		}
		slog.New(slog.NewJSONHandler(&shown, nil)).Info("configuration", "set", &c)
	}
	for secret := range secrets {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if len(secrets) < 7 || !strings.Contains(shown.String(), "testdata/tls/tickets-short") {
		t.Errorf("%d secrets, shown %s", len(secrets), shown.String())
	}
}

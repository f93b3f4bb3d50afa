package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/certificates"
	"sluice/internal/testkit"
)

// TestReloadOfCertificates: a reload of the configuration takes certificates with it, all
// of it or nothing.
func TestReloadOfCertificates(t *testing.T) {
	said := captureLog(t)
	c := launchConfigured(t)
	dir := t.TempDir()
	pair, first, err := certificates.SelfSigned(dir, []string{"mx.example.net"}, false)
	if err != nil {
		t.Fatal(err)
	}
	c.write(c.file, c.with(fmt.Sprintf("accept: {any: true}\ntls: {certificates: [{cert_file: %q, key_file: %q}]}\n", pair.CertFile, pair.KeyFile)))
	if status, text := c.reload(); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	inUse := func() string {
		used, err := c.certificates.Config().GetCertificate(new(tls.ClientHelloInfo))
		if err != nil {
			t.Fatal(err)
		}
		return certificates.TLSA(used.Leaf)
	}
	if inUse() != certificates.TLSA(first) {
		t.Errorf("the certificate is not in use: %s", said())
	}
	testkit.Eventually(t, "a line about the certificate", func() bool { return strings.Contains(said(), certificates.TLSA(first)) })
	c.expectSample(t, fmt.Sprintf(`sluice_certificate_expiry_timestamp_seconds{certificate=%q} %g`, pair.CertFile, float64(first.NotAfter.Unix())))

	key, err := os.ReadFile(pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := certificates.SelfSigned(dir, []string{"mx.example.net"}, true)
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := os.ReadFile(pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	c.write(filepath.Join(dir, "key.pem"), string(key))
	if status, text := c.reload(); status != http.StatusUnprocessableEntity || !strings.Contains(text, "is not the key of the certificate") || inUse() != certificates.TLSA(first) {
		t.Errorf("a bad pair: %d %s", status, text)
	}
	c.write(filepath.Join(dir, "key.pem"), string(renewed))
	if status, text := c.reload(); status != http.StatusOK || inUse() != certificates.TLSA(second) {
		t.Errorf("a renewed pair: %d %s", status, text)
	}
	c.expectSample(t, `sluice_tls_file_reloads_total{result="ok"} 2`)
	c.end(t)
}

package stress

import (
	"context"
	"crypto/tls"
	"fmt"
	"os/exec"
	"path/filepath"

	"sluice/loadtest/process"
)

const (
	// tlsHandshakes is tls.handshakes: an eighth of them, for an address of loopback, is
	// more than crowds begin at a time.
	tlsHandshakes = 256
	// tlsOfSession and tlsOfHandshake are what `sluice config check` counts for TLS, in
	// bytes (docs/memory.md).
	tlsOfSession, tlsOfHandshake = 16 * kib, 36 * kib
)

// tlsMemory is the sum for TLS of `sluice config check`, in bytes.
func tlsMemory(connections int) int64 {
	return int64(connections)*tlsOfSession + tlsHandshakes*tlsOfHandshake
}

// offerTLS makes a certificate for a gateway, and has its listener speak TLS from the
// first byte on.
func offerTLS(ctx context.Context, gateway *process.Sluice) error {
	dir := filepath.Join(gateway.Dir, "tls")
	out, err := exec.CommandContext(ctx, gateway.Binary, "tls", "self-signed", "--dir", dir, "--name", tlsName).CombinedOutput()
	if err != nil {
		return fmt.Errorf("a certificate: %w\n%s", err, out)
	}
	gateway.Listener = "tls: implicit"
	gateway.Config += fmt.Sprintf("tls: {certificates: [{cert_file: %q, key_file: %q}], handshakes: %d}\n",
		filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), tlsHandshakes)
	return nil
}

const tlsName = "mx1.example.net"

// secure shakes hands on the peer's connection.
func (p *peer) secure(ctx context.Context, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	config.InsecureSkipVerify = true // whom it talks to is not what is measured
	config.ServerName = tlsName
	conn := tls.Client(p.Conn, config)
	p.Conn = conn
	return conn.HandshakeContext(ctx)
}

// greeted returns a peer behind its EHLO, over TLS where the gateway has that.
func (s *instance) greeted(ctx context.Context) (*peer, error) {
	p, err := dial(ctx, s.SMTP, 0)
	if err != nil {
		return nil, err
	}
	if s.Listener != "" {
		err = p.secure(ctx, &tls.Config{})
	}
	if err == nil {
		err = p.greet()
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

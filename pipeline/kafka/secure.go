package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TLS says whom we believe to be a broker.
type TLS struct {
	// CAFile holds the certificates, PEM, that sign the brokers'; "" for those
	// that the system trusts.
	CAFile string
	// ServerName is the name in the brokers' certificates; "" for the host that
	// each is dialled by.
	ServerName string
}

func (t *TLS) config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, err
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", t.CAFile)
	}
	return c, nil
}

// SASL is how we prove who we are (KIP-43, KIP-84).
type SASL struct {
	Mechanism string // one of Mechanisms
	Username  string
	Password  string
	// Reread is asked when a broker refuses the password: it returns the password as
	// it is now, and whether it is another than the refused one. It may block for as
	// long as a file is read, and bounds how often it reads. Nil for one that stays.
	Reread func(refused string) (password string, changed bool)
}

// Mechanisms are the names that SASL takes. PLAIN shows the password to whoever
// reads along: it belongs on TLS.
func Mechanisms() []string { return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} }

// login is a SASL with the password that holds now.
type login struct {
	sasl *SASL

	mu       sync.Mutex
	password string
}

var _ kgo.HookBrokerConnect = (*login)(nil)

// options returns what makes a client prove who we are, none for nobody.
func (s *SASL) options() ([]kgo.Opt, error) {
	if s == nil {
		return nil, nil
	}
	l := &login{sasl: s, password: s.Password}
	var mechanism sasl.Mechanism
	switch s.Mechanism {
	case "PLAIN":
		mechanism = plain.Plain(func(context.Context) (plain.Auth, error) {
			return plain.Auth{User: s.Username, Pass: l.present()}, nil
		})
	case "SCRAM-SHA-256":
		mechanism = scram.Sha256(l.scram)
	case "SCRAM-SHA-512":
		mechanism = scram.Sha512(l.scram)
	default:
		return nil, fmt.Errorf("unknown SASL mechanism %q", s.Mechanism)
	}
	return []kgo.Opt{kgo.SASL(mechanism), kgo.WithHooks(l)}, nil
}

func (l *login) scram(context.Context) (scram.Auth, error) {
	return scram.Auth{User: l.sasl.Username, Pass: l.present()}, nil
}

func (l *login) present() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.password
}

// OnBrokerConnect takes the end of an attempt to connect. When a broker has refused
// the password the next attempt has the one that is there now.
func (l *login) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if l.sasl.Reread == nil || !errors.Is(err, kerr.SaslAuthenticationFailed) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if fresh, changed := l.sasl.Reread(l.password); changed {
		l.password = fresh
	}
}

// dialer makes connections, with TLS when that is asked for. It remembers why a
// broker was not believed: the client retries, and in the end reports only that
// time is up.
type dialer struct {
	plain   func(ctx context.Context, network, host string) (net.Conn, error)
	tls     *tls.Config // nil for none
	timeout time.Duration
	refused atomic.Pointer[error]
}

func (d *dialer) dial(ctx context.Context, network, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.plain(ctx, network, host)
	if err != nil || d.tls == nil {
		return conn, err
	}
	config := d.tls
	if config.ServerName == "" {
		config = config.Clone()
		if config.ServerName, _, err = net.SplitHostPort(host); err != nil {
			conn.Close()
			return nil, err
		}
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		d.note(err)
		return nil, err
	}
	return secured, nil
}

// note keeps what trying again does not mend: a certificate that is not to be
// believed, and a broker that does not speak TLS on that port.
func (d *dialer) note(err error) {
	var (
		unbelieved *tls.CertificateVerificationError
		noTLS      tls.RecordHeaderError
	)
	if errors.As(err, &unbelieved) || errors.As(err, &noTLS) {
		d.refused.Store(&err)
	}
}

// refusal is what note kept, nil for nothing.
func (d *dialer) refusal() error {
	if err := d.refused.Load(); err != nil {
		return *err
	}
	return nil
}

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

// TLS configures the verification of brokers.
type TLS struct {
	// CAFile names a file of PEM certificates of the authorities that sign those of the
	// brokers; "" means the system's.
	CAFile string
	// ServerName is the name in the brokers' certificates; "" means the host of each
	// broker's address.
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

// SASL configures authentication to the brokers (KIP-43, KIP-84).
type SASL struct {
	Mechanism string // one of Mechanisms
	Username  string
	Password  string
	// Reread is called when a broker refuses the password. It returns the present one and
	// whether it differs from the refused one. It may block while it reads a file, and
	// limits how often it does. Nil means that the password never changes.
	Reread func(refused string) (password string, changed bool)
}

// Mechanisms returns the valid values of SASL.Mechanism. PLAIN sends the password in the
// clear and needs TLS.
func Mechanisms() []string { return []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} }

// saslLogin is a SASL with the current password.
type saslLogin struct {
	sasl *SASL

	mu       sync.Mutex
	password string
}

var _ kgo.HookBrokerConnect = (*saslLogin)(nil)

// options returns the client options for authentication, none for a nil SASL.
func (s *SASL) options() ([]kgo.Opt, error) {
	if s == nil {
		return nil, nil
	}
	l := &saslLogin{sasl: s, password: s.Password}
	var mechanism sasl.Mechanism
	switch s.Mechanism {
	case "PLAIN":
		mechanism = plain.Plain(func(context.Context) (plain.Auth, error) {
			return plain.Auth{User: s.Username, Pass: l.currentPassword()}, nil
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

func (l *saslLogin) scram(context.Context) (scram.Auth, error) {
	return scram.Auth{User: l.sasl.Username, Pass: l.currentPassword()}, nil
}

func (l *saslLogin) currentPassword() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.password
}

// OnBrokerConnect implements kgo.HookBrokerConnect. After a broker has refused the
// password, the next attempt uses a reread one.
func (l *saslLogin) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if l.sasl.Reread == nil || !errors.Is(err, kerr.SaslAuthenticationFailed) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if fresh, changed := l.sasl.Reread(l.password); changed {
		l.password = fresh
	}
}

// dialer opens connections, with TLS if configured. It remembers why a broker could not
// be verified: the client retries, and in the end reports only a timeout.
type dialer struct {
	plain   func(ctx context.Context, network, host string) (net.Conn, error)
	tls     *tls.Config // nil for none
	timeout time.Duration
	brokers *brokers // nil: the wait for an answer has only the client's own bounds
	refused atomic.Pointer[error]
}

func (d *dialer) dial(ctx context.Context, network, host string) (net.Conn, error) {
	if d.brokers == nil {
		return d.connect(ctx, network, host, d.timeout)
	}
	if !d.brokers.mayConnect(host) {
		// The client takes it for a refused connection and asks for the leaders.
		return nil, &net.OpError{Op: "dial", Net: network, Err: errSilent}
	}
	began := time.Now()
	conn, err := d.connect(ctx, network, host, min(d.timeout, d.brokers.patience(host)))
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			d.brokers.unanswered(host, began)
		}
		d.brokers.ended(host)
		return nil, err
	}
	return &patientConn{Conn: conn, brokers: d.brokers, address: host}, nil
}

var errSilent = errors.New("the broker does not answer")

func (d *dialer) connect(
	ctx context.Context, network, host string, timeout time.Duration,
) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		d.noteRefusal(err)
		return nil, err
	}
	return secure, nil
}

// noteRefusal remembers an error that a retry does not fix: a certificate that cannot be
// verified, or a broker that does not speak TLS on that port.
func (d *dialer) noteRefusal(err error) {
	var (
		unverified *tls.CertificateVerificationError
		noTLS      tls.RecordHeaderError
	)
	if errors.As(err, &unverified) || errors.As(err, &noTLS) {
		d.refused.Store(&err)
	}
}

// lastRefusal returns the error that noteRefusal remembers, or nil.
func (d *dialer) lastRefusal() error {
	if err := d.refused.Load(); err != nil {
		return *err
	}
	return nil
}

package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"sluice/loadtest/peers"
	"sluice/loadtest/process"
)

// pair is a certificate with its key.
type pair struct{ cert, key string }

// writePairs writes one with ECDSA P-256 and one with RSA of 2048 bits.
func writePairs(dir string) (ec, rs pair, err error) {
	first, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return ec, rs, err
	}
	second, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return ec, rs, err
	}
	if ec, err = writePair(filepath.Join(dir, "ecdsa"), first); err != nil {
		return ec, rs, err
	}
	rs, err = writePair(filepath.Join(dir, "rsa"), second)
	return ec, rs, err
}

func writePair(name string, key crypto.Signer) (pair, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx1.example.net"}, DNSNames: []string{"mx1.example.net"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return pair{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	p := pair{name + ".pem", name + ".key"}
	return p, errors.Join(
		os.WriteFile(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644),
		os.WriteFile(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

// tlsContender is a server that can be started with a certificate.
type tlsContender struct {
	name  string
	idle  int // sessions that it can hold for the measurement of memory
	start func(context.Context, pair) (*tlsServer, error)
}

// tlsServer is one that runs.
type tlsServer struct {
	name, address string
	idle          int
	process       *process.Process // nil where it is several
	cpu           func() (time.Duration, error)
	memory        func() (int64, error)
	stop          func()
}

// sluice is the contender with this name.
const sluice = "sluice"

const (
	manySessions = 20_000
	// postfixSessions are processes.
	postfixSessions = 100
)

func (run *tlsRun) contenders() []tlsContender {
	all := []tlsContender{{sluice, manySessions, run.startSluice}, {GoSMTP, manySessions, run.startGoSMTP}}
	if run.Postfix {
		all = append(all, tlsContender{postfix, postfixSessions, run.startPostfix})
	}
	return all
}

// spend waits until the server has used so much CPU time more.
func (s *tlsServer) spend(ctx context.Context, patience, more time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := s.cpu()
	for now := before; err == nil && now-before < more; now, err = s.cpu() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has nothing to do: %w", s.name, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return err
}

func one(p *process.Process, address string) *tlsServer {
	return &tlsServer{address: address, process: p, cpu: p.CPU, memory: p.Resident, stop: p.Kill}
}

func (run *tlsRun) startSluice(ctx context.Context, with pair) (*tlsServer, error) {
	gateway, err := process.NewSluice(run.Sluice, filepath.Join(run.Scratch, TLS), process.Discard)
	if err != nil {
		return nil, err
	}
	gateway.Listener = "tls: implicit"
	gateway.Config = fmt.Sprintf("tls: {certificates: [{cert_file: %q, key_file: %q}]}\n", with.cert, with.key) +
		fmt.Sprintf("limits: {messages: 1000000, connections: %d}\nlog: {format: json, messages: off}\n", manySessions-1000)
	p, err := gateway.Start(ctx)
	if err != nil {
		return nil, err
	}
	return one(p, gateway.SMTP), nil
}

func (run *tlsRun) startGoSMTP(ctx context.Context, with pair) (*tlsServer, error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	p, _, err := listening(ctx, address, run.Self, "peer", "go-smtp", "--listen", address, "--cert-file", with.cert, "--key-file", with.key)
	if err != nil {
		return nil, err
	}
	return one(p, address), nil
}

// startPostfix starts a Postfix whose smtpd processes live until it ends. They alone are
// measured: the processes that write the queue have nothing to do with TLS.
func (run *tlsRun) startPostfix(ctx context.Context, with pair) (*tlsServer, error) {
	p, stop, err := newPostfix(fmt.Sprintf(`default_transport = discard
smtpd_client_connection_count_limit = 0
default_process_limit = 600
max_use = 1000000
max_idle = 1h
smtpd_tls_wrappermode = yes
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = %s
smtpd_tls_key_file = %s
`, with.cert, with.key))
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		stop()
		return nil, err
	}
	s := &tlsServer{address: p.Address, stop: stop}
	smtpds := func(add func(pid int) error) error {
		master, err := p.PID()
		if err != nil {
			return err
		}
		children, err := process.Children(master)
		if err != nil {
			return err
		}
		for pid, name := range children {
			if name != "smtpd" {
				continue
			}
			if err := add(pid); err != nil {
				return err
			}
		}
		return nil
	}
	s.cpu = func() (sum time.Duration, err error) {
		return sum, smtpds(func(pid int) error {
			used, err := process.CPU(pid)
			sum += used
			return err
		})
	}
	s.memory = func() (sum int64, err error) {
		return sum, smtpds(func(pid int) error {
			more, err := process.Proportional(pid)
			sum += more
			return err
		})
	}
	for ctx.Err() == nil {
		if err = shakeHands(ctx, p.Address); err == nil {
			return s, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return nil, err
}

// newPostfix prepares a Postfix with further lines of main.cf. stop also takes its files
// away.
func newPostfix(settings string) (p *peers.Postfix, stop func(), err error) {
	address, err := process.FreeAddress()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "sluice-postfix-") // the user postfix must get in
	if err != nil {
		return nil, nil, err
	}
	log := filepath.Join("/var/log", filepath.Base(dir)+".log")
	p = &peers.Postfix{Dir: dir, Log: log, Address: address, Processes: 600, Settings: settings}
	return p, func() {
		_ = p.Stop(context.Background()) // it may not have started
		_ = os.RemoveAll(dir)
		_ = os.Remove(log)
	}, nil
}

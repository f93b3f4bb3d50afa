package stack

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// SlapdServer is a directory, OpenLDAP's.
type SlapdServer struct {
	*Server
	Address    string // host:port of ldap://, with StartTLS
	TLSAddress string // host:port of ldaps://
	CAFile     string // who vouches for its certificate
}

// SlapdSettings of a directory.
type SlapdSettings struct {
	// LDIF has the entries below SlapdBase.
	LDIF string
	// Config has further lines of the database, such as "overlay ppolicy".
	Config string
}

// Names in the directory.
const (
	SlapdBase     = "dc=example,dc=net"
	SlapdAdmin    = "cn=admin," + SlapdBase
	SlapdPassword = "sluice-secret" // of SlapdAdmin
)

// slapdConfig is Debian's, without its folders.
const slapdConfig = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload argon2
threads 4
TLSCACertificateFile %[1]s
TLSCertificateFile %[2]s/server.pem
TLSCertificateKeyFile %[2]s/server.key
database mdb
directory %[2]s/data
maxsize 16777216
suffix %[3]q
rootdn %[4]q
rootpw %[5]s
index objectClass,uid,mail eq
`

const slapdRoot = `dn: dc=example,dc=net
objectClass: domain
dc: example

`

func newSlapd(dir, address, tlsAddress string, settings SlapdSettings) (*SlapdServer, error) {
	program, err := installed("slapd", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	ca, err := newTestCA(dir)
	if err != nil {
		return nil, err
	}
	if err := ca.issue(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key")); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	// A copy, as AppArmor's profile of /usr/sbin/slapd keeps that one within /var/lib/ldap.
	// Made by cp: a file that we have open for writing cannot be started meanwhile.
	if out, err := exec.Command("cp", program, dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("slapd: %w\n%s", err, out)
	}
	program = filepath.Join(dir, filepath.Base(program))
	config := filepath.Join(dir, "slapd.conf")
	text := fmt.Sprintf(slapdConfig, ca.File, dir, SlapdBase, SlapdAdmin, SlapdPassword) + settings.Config
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	add := exec.Command(program, "-Tadd", "-q", "-f", config)
	add.Stdin = strings.NewReader(slapdRoot + settings.LDIF)
	if out, err := add.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("slapd: slapadd: %w\n%s", err, out)
	}
	s := &SlapdServer{Address: address, TLSAddress: tlsAddress, CAFile: ca.File}
	s.Server = &Server{
		Name: "slapd", Dir: dir,
		// -d keeps it from leaving for the background.
		command: []string{program, "-d", "none", "-f", config, "-h", "ldap://" + address + " ldaps://" + tlsAddress},
		probe:   func(ctx context.Context) error { return s.answers(ctx) },
	}
	return s, nil
}

// answers makes an anonymous bind over TLS.
func (s *SlapdServer) answers(ctx context.Context) error {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // of a test, on loopback
	conn, err := dialer.DialContext(ctx, "tcp", s.TLSAddress)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	// Message 1: BindRequest, version 3, no name, no password; and its success (RFC 4511 §4.2).
	const request = "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
	const success = "\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	answer := make([]byte, len(success))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != success {
		return fmt.Errorf("%s: not ready yet (%x)", s.Address, answer)
	}
	return nil
}

package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// UnboundServer is a recursive DNS server, NLnet Labs' unbound. It asks nobody but itself.
type UnboundServer struct {
	*Server
	Address string // host:port, UDP and TCP

	file, port, forwardPort string
}

// unboundConfig has everything in one folder, and no way to the internet.
const unboundConfig = `server:
  directory: %[1]q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: 127.0.0.1
  port: %[2]s
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  edns-buffer-size: 1232
  max-udp-size: 1232
  root-hints: ""
  do-not-query-localhost: no
  local-zone: "test." nodefault
  local-zone: "ready.test." static
  local-data: "ready.test. TXT ready"
%[3]s
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@%[4]s
`

// Unbound starts a resolver that ends with the test. config has further lines of its
// section "server", such as local-zone and local-data, and further sections. What it does
// not have, it asks of forward, a host:port on 127.0.0.1.
func Unbound(t testing.TB, config, forward string) *UnboundServer {
	t.Helper()
	skipShort(t)
	u, err := newUnbound(t.TempDir(), freeAddress(t), config, forward)
	if err != nil {
		t.Fatal(err)
	}
	endsWith(t, u.Server)
	return u
}

func newUnbound(dir, address, config, forward string) (*UnboundServer, error) {
	program, err := installed("unbound", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	_, forwardPort, err := net.SplitHostPort(forward)
	if err != nil {
		return nil, err
	}
	u := &UnboundServer{Address: address, file: filepath.Join(dir, "unbound.conf"), port: port, forwardPort: forwardPort}
	u.Server = &Server{
		Name: "unbound", Dir: dir,
		command: []string{program, "-d", "-p", "-c", u.file},
		probe: func(ctx context.Context) error {
			r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
			}}
			_, err := r.LookupTXT(ctx, "ready.test.")
			return err
		},
	}
	return u, u.Configure(config)
}

// Configure writes other lines of config, which hold from the next start on.
func (u *UnboundServer) Configure(config string) error {
	return os.WriteFile(u.file, fmt.Appendf(nil, unboundConfig, u.Dir, u.port, config, u.forwardPort), 0o600)
}

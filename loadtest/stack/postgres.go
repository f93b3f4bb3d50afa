package stack

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// PostgresServer is a database server that trusts whoever reaches it.
type PostgresServer struct {
	*Server
	Address string // host:port
	URL     string
}

func newPostgres(dir, address string) (*PostgresServer, error) {
	const place = "/usr/lib/postgresql/*/bin"
	program, err := installed("postgres", place)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	owner, err := databaseOwner()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	if owner != nil {
		for _, folder := range []string{dir, data} {
			if err := os.Chown(folder, int(owner.Uid), int(owner.Gid)); err != nil {
				return nil, err
			}
		}
	}
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err != nil {
		initdb := exec.Command(filepath.Join(filepath.Dir(program), "initdb"), "-A", "trust", "-U", "sluice", "-D", data)
		initdb.Dir = dir
		initdb.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		if out, err := initdb.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("postgres: initdb: %w\n%s", err, out)
		}
	}
	p := &PostgresServer{Address: address, URL: "postgres://sluice@" + address + "/postgres"}
	p.Server = &Server{
		Name: "postgres", Dir: dir, user: owner,
		command: []string{program, "-D", data, "-k", dir, "-h", host, "-p", port},
		probe:   func(ctx context.Context) error { return acceptsStartup(ctx, address) },
	}
	return p, nil
}

// databaseOwner is who the server runs as when we are root, which PostgreSQL
// refuses; nil when we are not.
func databaseOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// acceptsStartup begins a session as pg_isready does: a server that starts or
// recovers answers E, one that serves R (PostgreSQL, "Message Formats").
func acceptsStartup(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	const parameters = "\x00\x03\x00\x00user\x00sluice\x00database\x00postgres\x00\x00"
	if _, err := conn.Write(append([]byte{0, 0, 0, byte(4 + len(parameters))}, parameters...)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := conn.Read(answer[:]); err != nil {
		return err
	}
	if answer[0] != 'R' {
		return fmt.Errorf("%s: not ready yet (%c)", address, answer[0])
	}
	return nil
}

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
	"strings"
	"syscall"
	"time"
)

// PostgresServer is a database server that trusts whoever reaches it.
type PostgresServer struct {
	*Server
	Address string // host:port
	URL     string
}

// postgresPlace is where Debian keeps what every version has of its own.
const postgresPlace = "/usr/lib/postgresql/*/bin"

func newPostgres(dir, address string) (*PostgresServer, error) {
	program, err := installed("postgres", postgresPlace)
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
		free:    func(ctx context.Context) error { return awaitDetached(ctx, data) },
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

// awaitDetached waits until the children of a server that was killed have ended.
// They do so by themselves, a moment later, and a server that starts meanwhile
// refuses to serve because its shared memory is still in use.
func awaitDetached(ctx context.Context, data string) error {
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for attached(data) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is still in use: %w", data, ctx.Err())
		case <-again.C:
		}
	}
	return nil
}

// attached reports whether processes are attached to the shared memory of a data
// folder. The last number in the seventh line of postmaster.pid is its id
// (PostgreSQL, pidfile.h), and the kernel counts who is attached (proc(5)).
func attached(data string) bool {
	const idLine, idField, countField = 6, 1, 6
	pidFile, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return false // there was none, or it ended well
	}
	lines := strings.Split(string(pidFile), "\n")
	if len(lines) <= idLine {
		return false
	}
	id := strings.Fields(lines[idLine])
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil || len(id) == 0 {
		return false
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > countField && f[idField] == id[len(id)-1] {
			return f[countField] != "0"
		}
	}
	return false
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

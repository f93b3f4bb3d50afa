package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exim is an Exim that relays what it is given to one address at once. It is not
// installed, as its package and Postfix's exclude each other, but unpacked; so it
// starts, as root only, in a mount namespace in which its user exists.
type Exim struct {
	Binary string
	Dir    string // made before
	Relay  string // host:port
}

// eximID is the number of Exim's user and group, one that nobody has.
const eximID = 64999

// Prepare writes what Exim needs.
func (e *Exim) Prepare() error {
	host, port, _ := strings.Cut(e.Relay, ":")
	config := fmt.Sprintf(`exim_path = %s
spool_directory = %s/spool
log_file_path = %s/log/%%slog
primary_hostname = relay.example.org
qualify_domain = example.org
keep_environment =
begin routers
all:
  driver = manualroute
  transport = relay
  route_list = * %s
  self = send
begin transports
relay:
  driver = smtp
  port = %s
  hosts_avoid_tls = *
begin retry
* * F,1h,1s
`, e.program(), e.Dir, e.Dir, host, port)
	id := strconv.Itoa(eximID)
	for _, file := range []struct{ name, like, more string }{
		{"exim.conf", os.DevNull, config},
		{"passwd", "/etc/passwd", "Debian-exim:x:" + id + ":" + id + "::/nonexistent:/usr/sbin/nologin\n"},
		{"group", "/etc/group", "Debian-exim:x:" + id + ":\n"},
	} {
		text, err := os.ReadFile(file.like)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(e.Dir, file.name), append(text, file.more...), 0o644); err != nil {
			return err
		}
	}
	for _, folder := range []string{"", "spool", "log"} {
		path := filepath.Join(e.Dir, folder)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := os.Chown(path, eximID, eximID); err != nil {
			return err
		}
	}
	if err := os.Chmod(e.Dir, 0o755); err != nil {
		return err
	}
	program, err := os.ReadFile(e.Binary)
	if err != nil {
		return err
	}
	return os.WriteFile(e.program(), program, 0o755)
}

// program is a copy that Exim's user can run: the cache may be closed to others.
func (e *Exim) program() string { return filepath.Join(e.Dir, "exim4") }

// Send hands Exim a mail, which it delivers before Send returns; whether it could
// stands in its log.
func (e *Exim) Send(ctx context.Context, from, to, mail string) error {
	const script = `mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group &&
		exec "$1" -C "$0/exim.conf" -odi -oi -f "$2" "$3"`
	command := exec.CommandContext(ctx, "sh", "-c", script, e.Dir, e.program(), from, to)
	command.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNS, // with mounts that are private: Go sees to that
	}
	command.Stdin = strings.NewReader(mail)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("exim: %w\n%s", err, out)
	}
	return nil
}

// Log returns what Exim did.
func (e *Exim) Log() string {
	text, err := os.ReadFile(filepath.Join(e.Dir, "log", "mainlog"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

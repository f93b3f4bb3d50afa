package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// Postfix is an instance of the installed Postfix with settings, queue and data of
// its own. It starts only as root.
type Postfix struct {
	Dir       string // made before, and open to the user postfix
	Log       string // Postfix writes logs only below a few folders, such as /var/log
	Address   string // host:port of its smtpd
	Processes int    // of smtpd, at most
	Settings  string // further lines of main.cf
}

func (p *Postfix) etc() string { return filepath.Join(p.Dir, "etc") }

// Start configures and starts it. It may not listen yet.
func (p *Postfix) Start(ctx context.Context) error {
	if err := p.configure(); err != nil {
		return fmt.Errorf("postfix: %w", err)
	}
	return p.command(ctx, "start")
}

// Flush has it try at once what it has put off.
func (p *Postfix) Flush(ctx context.Context) error { return p.command(ctx, "flush") }

// Stop ends it.
func (p *Postfix) Stop(ctx context.Context) error { return p.command(ctx, "stop") }

// PID is the process number of its master.
func (p *Postfix) PID() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.Dir, "spool", "pid", "master.pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

func (p *Postfix) command(ctx context.Context, what string) error {
	out, err := exec.CommandContext(ctx, "postfix", "-c", p.etc(), what).CombinedOutput()
	if err != nil {
		return fmt.Errorf("postfix %s: %w\n%s", what, err, out)
	}
	return nil
}

func (p *Postfix) configure() error {
	queue, data := filepath.Join(p.Dir, "spool"), filepath.Join(p.Dir, "data")
	if err := os.Chmod(p.Dir, 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(p.etc(), os.DirFS("/etc/postfix")); err != nil {
		return err
	}
	for _, folder := range []string{queue, data} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	if err := chown(data, "postfix"); err != nil {
		return err
	}
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %s
data_directory = %s
meta_directory = %s
maillog_file = %s
maillog_file_prefixes = /var
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.org
mydestination =
mynetworks = 127.0.0.0/8
smtp_host_lookup = native
disable_dns_lookups = yes
message_size_limit = 0
mailbox_size_limit = 0
smtputf8_enable = no
alias_maps =
local_recipient_maps =
%s`, queue, data, p.etc(), p.Log, p.Settings)
	if err := os.WriteFile(filepath.Join(p.etc(), "main.cf"), []byte(main), 0o644); err != nil {
		return err
	}
	return p.rewriteMaster(filepath.Join(p.etc(), "master.cf"))
}

// rewriteMaster takes every service out of its chroot, which nobody has
// furnished, and lets smtpd listen on the address instead of port 25.
func (p *Postfix) rewriteMaster(path string) error {
	packaged, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		packaged, err = os.ReadFile("/usr/share/postfix/master.cf.dist")
	}
	if err != nil {
		return err
	}
	var master strings.Builder
	for line := range strings.Lines(string(packaged)) {
		field := strings.Fields(line)
		if len(field) < 8 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, " ") {
			master.WriteString(line)
			continue
		}
		if field[0] == "smtp" && field[1] == "inet" {
			field[0], field[6] = p.Address, strconv.Itoa(p.Processes)
		}
		field[4] = "n"
		master.WriteString(strings.Join(field, " ") + "\n")
	}
	return os.WriteFile(path, []byte(master.String()), 0o644)
}

func chown(path, name string) error {
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}
	return os.Chown(path, uid, -1)
}

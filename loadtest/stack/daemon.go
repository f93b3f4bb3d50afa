package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Part is one server of a standing stack.
type Part struct {
	Name    string
	Address string // host:port
}

// Parts are what a standing stack may have, on the ports that docker-compose.yml
// publishes.
func Parts() []Part {
	return []Part{
		{"minio", "127.0.0.1:9000"},
		{"kafka", "127.0.0.1:9092"},
		{"postgres", "127.0.0.1:5432"},
		{"prometheus", "127.0.0.1:9090"},
	}
}

const (
	kafkaController = "127.0.0.1:9093"
	sluiceAdmin     = "127.0.0.1:8025" // admin.address by default
)

// Topic and Bucket are made by Up: the defaults of events.topic and what
// deploy/sluice.yaml names.
const (
	Topic           = "mail.received"
	TopicPartitions = 6
	Bucket          = "mail"
)

// ErrNoPart is the error for the name of a part that does not exist.
var ErrNoPart = errors.New("no such part")

// find returns the named part and its folder below dir.
func find(dir, name string) (part Part, folder string, err error) {
	i := slices.IndexFunc(Parts(), func(p Part) bool { return p.Name == name })
	if i < 0 {
		return Part{}, "", fmt.Errorf("%s: %w", name, ErrNoPart)
	}
	folder, err = filepath.Abs(filepath.Join(dir, name))
	return Parts()[i], folder, err
}

// Check reports what keeps the named part from being started: that it does not
// exist, is not installed, or that its address is taken.
func Check(dir, name string) error {
	part, folder, err := find(dir, name)
	if err != nil {
		return err
	}
	switch name {
	case "minio":
		_, err = minioBinary()
	case "kafka":
		_, _, err = kafkaInstall()
	case "postgres":
		_, err = installed("postgres", postgresPlace)
	default:
		_, err = installed(name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if pid, err := running(folder, name); err != nil || pid != 0 {
		return err
	}
	if conn, err := net.DialTimeout("tcp", part.Address, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("%s: another program listens on %s", name, part.Address)
	}
	return nil
}

// Up starts the named part with its folder below dir and leaves it running when
// this program ends. One that runs already is left alone. When Up returns without
// an error the part serves, and has its bucket or topic.
func Up(ctx context.Context, dir, name string) (started bool, err error) {
	if err := Check(dir, name); err != nil {
		return false, err
	}
	part, folder, err := find(dir, name)
	if err != nil {
		return false, err
	}
	pid, err := running(folder, name)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return false, err
	}
	server, after, err := part.server(folder)
	if err != nil {
		return false, err
	}
	if pid == 0 {
		server.life = onItsOwn
		if err := server.start(); err != nil {
			return false, err
		}
		return true, after(ctx)
	}
	if err := server.Healthy(ctx); err != nil {
		return false, fmt.Errorf("%s runs and does not serve: %w", name, err)
	}
	return false, after(ctx)
}

// server makes the part, and says what is to be done once it serves.
func (p Part) server(folder string) (*Server, func(context.Context) error, error) {
	nothing := func(context.Context) error { return nil }
	switch p.Name {
	case "minio":
		m, err := newMinIO(folder, p.Address, MinIOSettings{})
		if err != nil {
			return nil, nil, err
		}
		// A folder of a server with one drive is a bucket.
		return m.Server, nothing, os.MkdirAll(filepath.Join(m.DataDir, Bucket), 0o755)
	case "kafka":
		k, err := newKafka(folder, p.Address, kafkaController, KafkaSettings{})
		if err != nil {
			return nil, nil, err
		}
		return k.Server, k.ensureTopic, nil
	case "postgres":
		s, err := newPostgres(folder, p.Address)
		if err != nil {
			return nil, nil, err
		}
		return s.Server, nothing, nil
	default:
		s, err := newPrometheus(folder, p.Address, sluiceAdmin)
		if err != nil {
			return nil, nil, err
		}
		return s.Server, nothing, nil
	}
}

// Status returns the process number of a part that runs, else 0, and whether it
// serves.
func Status(ctx context.Context, dir, name string) (pid int, err error) {
	folder, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return 0, err
	}
	if pid, err = running(folder, name); err != nil || pid == 0 {
		return pid, err
	}
	i := slices.IndexFunc(Parts(), func(p Part) bool { return p.Name == name })
	server, _, err := Parts()[i].server(folder)
	if err != nil {
		return pid, err
	}
	return pid, server.Healthy(ctx)
}

// Down asks a part to end (SIGTERM) and returns when it has. Its data stay.
func Down(ctx context.Context, dir, name string) error {
	folder, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	pid, err := running(folder, name)
	if err != nil || pid == 0 {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	again := time.NewTicker(probeEvery)
	defer again.Stop()
	for {
		if still, err := running(folder, name); err != nil || still == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has not ended: %w", name, ctx.Err())
		case <-again.C:
		}
	}
}

// running returns the process of a folder's pid file, 0 when it has ended. Its
// number may belong to another program by now: ours names its folder in its
// arguments.
func running(folder, name string) (int, error) {
	text, err := os.ReadFile(filepath.Join(folder, name+".pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s: pid file: %w", name, err)
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(arguments), folder) {
		return 0, nil
	}
	return pid, nil
}

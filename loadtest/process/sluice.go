package process

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Topic is where Sluice announces messages by default.
const Topic = "mail.received"

// Build compiles the sluice binary to path. flags are for the go command, such as
// -race.
func Build(ctx context.Context, path string, flags ...string) error {
	args := append(append([]string{"build", "-o", path}, flags...), "sluice/gateway")
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build sluice/gateway: %w\n%s", err, out)
	}
	return nil
}

// Kind says where a Sluice under test puts its mail.
type Kind string

// Embedded is the default of a bare machine: files and a log in a folder. Fleet
// is an S3 store and a Kafka, Bucket an S3 store and the log of Embedded. Cluster is
// files and several Kafka brokers. Discard keeps nothing.
const (
	Embedded Kind = "embedded"
	Fleet    Kind = "fleet"
	Cluster  Kind = "cluster"
	Bucket   Kind = "bucket"
	Discard  Kind = "discard"
)

// S3 says where the objects of a Fleet are.
type S3 struct {
	Endpoint, Bucket, AccessKey, SecretKey string
	More                                   string // further keys of the store, "" for none
}

// Sluice is a gateway on free ports of loopback with a folder of its own. It can
// be started, ended and started again.
type Sluice struct {
	Binary string
	Dir    string // holds the configuration and the data
	SMTP   string // host:port
	Admin  string // host:port
	Events string // host:port, Kafka protocol; of a Cluster several, with commas between
	Topic  string
	Kind   Kind
	S3     S3     // of a Fleet or a Bucket
	Config string // further lines of YAML
	// Hostname and Accept are the keys hostname and accept, as YAML; "" for what most
	// tests need.
	Hostname, Accept string
	// Trusted is the key trusted_networks, as YAML; "" for loopback.
	Trusted string
	// Listener are further keys of the listener, as YAML in braces without the braces.
	Listener string
}

// NewSluice chooses the ports.
func NewSluice(binary, dir string, kind Kind) (*Sluice, error) {
	s := &Sluice{Binary: binary, Dir: dir, Kind: kind, Topic: Topic}
	for _, address := range []*string{&s.SMTP, &s.Admin, &s.Events} {
		var err error
		if *address, err = FreeAddress(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// DataDir is where the embedded store and log are.
func (s *Sluice) DataDir() string { return filepath.Join(s.Dir, "data") }

// StoreDir is the root of the stored objects.
func (s *Sluice) StoreDir() string { return filepath.Join(s.DataDir(), "objects") }

// Args are the arguments of the command that serves; its configuration is
// written first.
func (s *Sluice) Args() ([]string, error) {
	file, err := s.Configure()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--config", file, "--admin", s.Admin, "--data", s.DataDir()}
	if s.Listener == "" {
		args = append(args, "--listen", s.SMTP)
	}
	return args, nil
}

// Configure writes the configuration, in place of a former one at once, and returns its
// file.
func (s *Sluice) Configure() (file string, err error) {
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "hostname: %s\naccept: %s\n", cmp.Or(s.Hostname, "mx1.example.net"), cmp.Or(s.Accept, "{any: true}"))
	// Fifty sessions from one address are the load, not an attack.
	fmt.Fprintf(&yaml, "trusted_networks: %s\n", cmp.Or(s.Trusted, "[127.0.0.0/8]"))
	switch s.Kind {
	case Discard:
		yaml.WriteString("unsafe_discard: true\nstore: {kind: discard}\nevents: {kind: discard}\n")
	case Fleet, Bucket:
		fmt.Fprintf(&yaml, "store: {kind: s3, s3: {endpoint: %q, bucket: %s, create_bucket: true, secure: false, credentials: static, access_key: %s, secret_key: %s}, %s}\n",
			s.S3.Endpoint, s.S3.Bucket, s.S3.AccessKey, s.S3.SecretKey, s.S3.More)
	}
	switch s.Kind {
	case Discard:
	case Fleet:
		fmt.Fprintf(&yaml, "events: {kind: kafka, topic: %s, kafka: {brokers: [%q], create_topic: {partitions: 3, replication: 1}}}\n", s.Topic, s.Events)
	case Cluster:
		fmt.Fprintf(&yaml, "events: {kind: kafka, topic: %s, kafka: {brokers: [\"%s\"]}}\n",
			s.Topic, strings.ReplaceAll(s.Events, ",", `","`))
	default:
		fmt.Fprintf(&yaml, "events: {kind: embedded, topic: %s, embedded: {address: %q}}\n", s.Topic, s.Events)
	}
	yaml.WriteString(s.Config)
	if s.Listener != "" {
		fmt.Fprintf(&yaml, "\nlisteners: [{address: %q, %s}]\n", s.SMTP, s.Listener)
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(s.Dir, "sluice.yaml")
	if err := os.WriteFile(file+".new", []byte(yaml.String()), 0o600); err != nil {
		return "", err
	}
	return file, os.Rename(file+".new", file)
}

// Start starts the gateway and waits until it is ready. wrapper, when given, is a
// command that runs the gateway's, such as strace.
func (s *Sluice) Start(ctx context.Context, wrapper ...string) (*Process, error) {
	args, err := s.Args()
	if err != nil {
		return nil, err
	}
	command := append(append(wrapper, s.Binary), args...)
	p, err := Start(command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	if err := p.AwaitOK(ctx, "http://"+s.Admin+"/readyz"); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

package server

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sluice/gateway/certificates"
	"sluice/gateway/config"
	"sluice/gateway/config/configtest"
)

var update = flag.Bool("update", false, "write testdata/banner.txt anew")

func bannerOf(t *testing.T, c *config.Config, at endpoints) string {
	t.Helper()
	if err := c.Validate(config.ForServe); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := writeBanner(&b, c, at); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var someEndpoints = endpoints{
	SMTP: []string{"127.0.0.1:2525"}, Admin: "127.0.0.1:8025", Events: "127.0.0.1:9094", Program: "bin/sluice",
}

func TestBannerOfTheDefault(t *testing.T) {
	c := config.DefaultOn(configtest.Machine)
	_, got, _ := strings.Cut(bannerOf(t, &c, someEndpoints), "\n") // the first line is the version
	want, err := os.ReadFile("testdata/banner.txt")
	if *update {
		err = os.WriteFile("testdata/banner.txt", []byte(got), 0o644)
		want = []byte(got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBannerFollowsTheConfiguration(t *testing.T) {
	file := configtest.File(t, "accept: {any: true}\n")
	for _, c := range []struct {
		name   string
		from   config.Sources
		set    func(*config.Config)
		at     endpoints
		has    []string
		hasNot []string
	}{
		{"behind a load balancer", config.Sources{}, func(c *config.Config) {
			c.Listeners[0].ProxyProtocol = config.ProxyRequired
			c.Listeners[0].ProxyNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		}, someEndpoints, []string{"through the load balancer"}, []string{"curl -sSv smtp://"}},
		{"STARTTLS", config.Sources{}, func(c *config.Config) {
			c.Listeners[0].TLS = config.TLSStart
			c.TLS.Certificates = []certificates.Pair{{CertFile: "../config/testdata/tls/cert.pem", KeyFile: "../config/testdata/tls/key.pem"}}
		}, someEndpoints, []string{"TLS       STARTTLS on 127.0.0.1:2525\n", "curl -sSv --ssl-reqd -k smtp://127.0.0.1:2525 "}, nil},
		{"implicit TLS", config.Sources{}, func(c *config.Config) {
			c.Listeners[0].TLS = config.TLSImplicit
			c.TLS.Certificates = []certificates.Pair{{CertFile: "../config/testdata/tls/cert.pem", KeyFile: "../config/testdata/tls/key.pem"}}
		}, someEndpoints, []string{"TLS       from the first byte on 127.0.0.1:2525\n", "curl -sSv -k smtps://127.0.0.1:2525 "}, nil},
		{"domains", config.Sources{}, func(c *config.Config) {
			c.Accept = config.AcceptConfig{Domains: []string{"*.example.com", "b.example", "c.example", "d.example"}}
		}, someEndpoints,
			[]string{"mail for *.example.com, b.example, c.example and 1 more", "--mail-rcpt someone@mail.example.com"}, []string{"any recipient"}},
		{"all addresses", config.Sources{Env: []string{"SLUICE_LISTENERS=:25", "SLUICE_ACCEPT_ANY=true"}}, func(*config.Config) {}, endpoints{SMTP: []string{"[::]:25"}, Admin: "0.0.0.0:8025", Events: "127.0.0.1:9094"},
			[]string{"WARNING: accept.any is true on :25", "smtp://127.0.0.1:25 ", "http://127.0.0.1:8025/metrics |"}, nil},
		{"recipients", config.Sources{}, func(c *config.Config) {
			c.Accept = config.AcceptConfig{Domains: []string{"example.net"}, RecipientsFile: "../config/testdata/recipients"}
		}, someEndpoints, []string{"--mail-rcpt postmaster@example.net"}, []string{"someone@"}},
		{"discard", config.Sources{}, func(c *config.Config) {
			c.UnsafeDiscard, c.Store.Kind, c.Events.Kind = true, config.KindDiscard, config.KindDiscard
		}, endpoints{SMTP: []string{"127.0.0.1:2525"}, Admin: "127.0.0.1:8025", Program: "bin/sluice"},
			[]string{"messages  are thrown away", "events    are thrown away", "WARNING: store.kind and events.kind are discard"}, []string{"kcat", " cat "}},
		{"bucket", config.Sources{}, func(c *config.Config) { c.Store.Kind, c.Store.S3.Credentials = config.KindS3, "iam" }, someEndpoints,
			[]string{"messages  bucket mail at 127.0.0.1:9000", "bin/sluice cat <id>\n"}, []string{"secure"}},
		{"bucket elsewhere", config.Sources{}, func(c *config.Config) {
			c.Store.Kind, c.Store.S3.Credentials, c.Store.S3.Endpoint = config.KindS3, "iam", "s3.example.net"
		}, someEndpoints,
			[]string{"WARNING: store.s3.secure is false: mail goes to s3.example.net without TLS"}, nil},
		{"cluster", config.Sources{}, func(c *config.Config) {
			c.Events.Kind, c.Events.Kafka.Brokers = config.KindKafka, []string{"127.0.0.1:9092", "[::1]:9092"}
		},
			endpoints{SMTP: []string{"127.0.0.1:2525"}, Admin: "127.0.0.1:8025"},
			[]string{"events    topic mail.received at 127.0.0.1:9092, [::1]:9092"}, []string{"kcat", "without TLS"}},
		{"cluster elsewhere", config.Sources{}, func(c *config.Config) {
			c.Events.Kind, c.Events.Kafka.Brokers = config.KindKafka, []string{"k.example.net:9092"}
			c.Events.Kafka.SASL = config.SASLConfig{Mechanism: "PLAIN", Username: "sluice", Password: config.NewSecret("secret")}
		}, endpoints{SMTP: []string{"127.0.0.1:2525"}, Admin: "127.0.0.1:8025"},
			[]string{"WARNING: events.kafka.tls is false: envelopes and the password go to k.example.net:9092 without TLS"}, nil},
		{"folder with a space", config.Sources{Flags: []config.Flag{{Name: "--data", Path: "data_dir", Value: "/var/lib/it's here"}}}, func(*config.Config) {}, someEndpoints,
			[]string{`bin/sluice cat <id> --data '/var/lib/it'\''s here'`}, nil},
		{"file", config.Sources{File: file}, func(*config.Config) {}, someEndpoints,
			[]string{
				"settings  " + file + "   (bin/sluice config print --config " + file + " shows all)",
				"bin/sluice cat <id> --config " + file + "\n",
			}, nil},
		{"program elsewhere", config.Sources{}, func(*config.Config) {}, endpoints{
			SMTP: []string{"127.0.0.1:1"}, Admin: "127.0.0.1:8025", Events: "127.0.0.1:9094", Program: "/opt/my sluice",
		},
			[]string{"'/opt/my sluice' cat <id>\n", "'/opt/my sluice' --help"}, nil},
		{"users alone", config.Sources{}, func(c *config.Config) {
			c.Accept, c.Listeners[0].Role, c.Auth.AllowPlaintext = config.AcceptConfig{}, config.RoleSubmission, true
			c.Auth.Backends, c.Auth.Static.File = []string{config.BackendStatic}, "../config/testdata/users"
		}, someEndpoints, []string{"mail of users alone\n", "users     AUTH on 127.0.0.1:2525, known by static\n", "curl -sSv --user you@example.org smtp://"}, nil},
		{"users beside", config.Sources{}, func(c *config.Config) {
			mx := c.Listeners[0]
			c.Listeners[0].Role, c.Auth.AllowPlaintext = config.RoleSubmission, true
			mx.Address = "127.0.0.1:2526"
			c.Listeners = append(c.Listeners, mx)
			c.Auth.Backends, c.Auth.Static.File = []string{config.BackendStatic}, "../config/testdata/users"
		}, endpoints{SMTP: []string{"127.0.0.1:2525", "127.0.0.1:2526"}, Admin: "127.0.0.1:8025", Program: "bin/sluice"},
			[]string{"mail for any recipient\n", "AUTH on 127.0.0.1:2525, known by static\n", "curl -sSv smtp://127.0.0.1:2526 "}, []string{"--user"}},
		{"two listeners", config.Sources{}, func(*config.Config) {}, endpoints{SMTP: []string{"127.0.0.1:1", "127.0.0.1:2"}, Admin: "127.0.0.1:8025", Events: "127.0.0.1:9094"},
			[]string{"SMTP      127.0.0.1:1, 127.0.0.1:2", "smtp://127.0.0.1:1 "}, []string{"WARNING"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := configtest.Load(t, c.from)
			c.set(&cfg)
			got := bannerOf(t, &cfg, c.at)
			for _, part := range c.has {
				if !strings.Contains(got, part) {
					t.Errorf("%q is not in\n%s", part, got)
				}
			}
			for _, part := range c.hasNot {
				if strings.Contains(got, part) {
					t.Errorf("%q is in\n%s", part, got)
				}
			}
		})
	}
}

// TestBannerCommandsAreShell checks that the shell understands each line that is to be
// pasted.
func TestBannerCommandsAreShell(t *testing.T) {
	c := configtest.Load(t, config.Sources{Env: []string{"SLUICE_DATA_DIR=/tmp/it's; $(here)"}})
	text := strings.ReplaceAll(bannerOf(t, &c, someEndpoints), "<id>", "0192f0c1-6a2e-7cc3-98c4-dc0c0c07398f")
	commands := regexp.MustCompile(`(?m)^  (printf|kcat|bin/sluice|curl) .*$`).FindAllString(text, -1)
	if len(commands) != 5 {
		t.Fatalf("%d commands: %q", len(commands), commands)
	}
	for _, command := range commands {
		if out, err := exec.Command("sh", "-n", "-c", command).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
}

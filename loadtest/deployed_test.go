package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/loadtest/hosts"
)

// TestDeployedListeners starts what the documents and deploy/ tell people to start,
// with the listener lines as they stand, on a host of its own without IPv6 (as a
// container's network is by default), and sends mail from another host.
func TestDeployedListeners(t *testing.T) {
	needs(t, "curl")
	production, err := os.ReadFile("../deploy/sluice.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]string{
		"deploy/sluice.yaml": string(production),
		"README.md":          firstYAML(t, "../README.md"),
		"docs/tls.md":        firstYAML(t, "../docs/tls.md"),
	} {
		t.Run(name, func(t *testing.T) {
			listeners := regexp.MustCompile(`(?m)address: "[^"]*:(\d+)"(?:, tls: (\w+))?`).FindAllStringSubmatch(config, -1)
			if name != "docs/tls.md" && len(listeners) > 1 {
				listeners = listeners[:1] // the next is the admin server's
			}
			if listeners == nil {
				t.Fatalf("no listener in\n%s", config)
			}
			server, client := ownHosts(t)
			dir := t.TempDir()
			var env []string
			if name == "docs/tls.md" { // the section tls alone says nothing of mail
				command(t, gatewayBinary, "tls", "self-signed", "--dir", dir, "--name", "mx.example.net")
				env = []string{"SLUICE_ACCEPT_DOMAINS=example.net", fmt.Sprintf(
					"SLUICE_TLS_CERTIFICATES=[{cert_file: %q, key_file: %q}]", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))}
			}
			deploy(t, server, dir, config, env...)
			mail := filepath.Join(dir, "mail")
			if err := os.WriteFile(mail, []byte("Subject: over the wire\r\n\r\ntext\r\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, from := range []*hosts.Host{server, client} {
				to := map[*hosts.Host]string{server: "127.0.0.1", client: server.Address}[from]
				for _, l := range listeners {
					how := map[string][]string{
						"": {"smtp://" + to + ":" + l[1]}, "starttls": {"-k", "--ssl-reqd", "smtp://" + to + ":" + l[1]},
						"implicit": {"-k", "smtps://" + to + ":" + l[1]},
					}[l[2]]
					out, err := from.Command(t.Context(), "curl", append(how, "-sS", "--max-time", "20",
						"--mail-from", "a@example.org", "--mail-rcpt", "b@example.net", "-T", mail)...).CombinedOutput()
					if err != nil {
						t.Errorf("to %s by %v: %v: %s", to, how, err, out)
					}
				}
			}
			if n := storedFiles(t, filepath.Join(dir, "objects")); n == 0 {
				t.Error("nothing was stored")
			}
		})
	}
}

// deploy starts a gateway on a host, with a configuration and its data in dir, and returns
// what it says. The servers behind are this machine's; whom it listens to is not.
func deploy(t *testing.T, on *hosts.Host, dir, config string, env ...string) (said *testkit.Buffer) {
	t.Helper()
	file := filepath.Join(dir, "sluice.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	said = &testkit.Buffer{}
	gateway := on.Command(context.WithoutCancel(t.Context()), gatewayBinary, "serve", "--config", file)
	gateway.Env = append(append(os.Environ(), "SLUICE_DATA_DIR="+dir, "SLUICE_STORE_KIND=dir",
		"SLUICE_EVENTS_KIND=embedded", "SLUICE_PRESSURE_LAG_GROUPS=", "SLUICE_DRAIN_GRACE=0s", "SLUICE_STORE_S3_SSE="), env...)
	gateway.Stdout, gateway.Stderr = said, said
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gateway.Process.Signal(syscall.SIGTERM)
		if err := gateway.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	testkit.Eventually(t, "the gateway is ready", func() bool {
		check := on.Command(t.Context(), gatewayBinary, "healthcheck", "--config", file)
		check.Env = gateway.Env
		return check.Run() == nil
	})
	return said
}

// TestDeployedUsers starts docs/auth.md on a host of its own, and sends as a user from
// another host over IPv4 and IPv6. Strangers and wrong passwords get nowhere.
func TestDeployedUsers(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	server, client := ownHosts(t)
	if err := hosts.AddIPv6(t.Context(), server, client); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	command(t, gatewayBinary, "tls", "self-signed", "--dir", dir, "--name", "mx.example.net")
	config := strings.NewReplacer("/etc/sluice/tls/fullchain.pem", filepath.Join(dir, "cert.pem"),
		"/etc/sluice/tls/privkey.pem", filepath.Join(dir, "key.pem"),
		"/etc/sluice/users", userFile(t, map[string]string{"ann@example.net": canary})).Replace(firstYAML(t, "../docs/auth.md"))
	plain := exec.CommandContext(t.Context(), gatewayBinary, "config", "check", "--config", writeFile(t, "sluice.yaml", config))
	plain.Env = append(withoutSettings(), "SLUICE_DATA_DIR="+dir, "SLUICE_AUTH_ALLOW_PLAINTEXT=true")
	if out, err := plain.CombinedOutput(); err == nil || !strings.Contains(string(out), "auth.allow_plaintext: got") {
		t.Errorf("passwords in plain text from other machines: %v: %s", err, out)
	}
	said := deploy(t, server, dir, config)
	mail := writeFile(t, "mail", header("user")+"\r\ntext\r\n")
	send := func(url string, more ...string) (string, error) {
		out, err := client.Command(t.Context(), "curl", append([]string{"-sSvgk", "--max-time", "20", "-T", mail,
			"--mail-from", "ann@example.net", "--mail-rcpt", "somebody@elsewhere.example", url}, more...)...).CombinedOutput()
		return string(out), err
	}
	for _, to := range []string{server.Address, "[" + server.IPv6 + "]"} {
		for _, url := range []string{"smtp://" + to + ":587", "smtps://" + to + ":465"} {
			if out, err := send(url, "--ssl-reqd", "--user", "ann@example.net:"+canary); err != nil {
				t.Errorf("%s: %v: %s", url, err, out)
			}
			if out, err := send(url, "--ssl-reqd", "--user", "ann@example.net:"+nonsense); err == nil || !strings.Contains(out, "535 5.7.8") {
				t.Errorf("%s takes a wrong password: %v: %s", url, err, out)
			}
			if out, err := send(url, "--ssl-reqd"); err == nil || !strings.Contains(out, "530 5.7.0") {
				t.Errorf("%s takes mail of a stranger: %v: %s", url, err, out)
			}
		}
		if out, err := send("smtp://" + to + ":587"); err == nil || !strings.Contains(out, "530 5.7.0 Must issue a STARTTLS") || strings.Contains(out, "AUTH") {
			t.Errorf("%s without TLS: %v: %s", to, err, out)
		}
		if out, err := send("smtp://"+to+":25", "--ssl-reqd", "--user", "ann@example.net:"+canary); err == nil || !strings.Contains(out, "550 5.7.1") {
			t.Errorf("%s relays at port 25: %v: %s", to, err, out)
		}
	}
	for _, from := range []string{client.Address, client.IPv6} {
		accepted := regexp.MustCompile(`(?m)^.* client="?\[?` + regexp.QuoteMeta(from) + `.* protocol=ESMTPSA .*user=ann@example.net .*$`)
		testkit.Eventually(t, "two mails from "+from+" are logged", func() bool { return len(accepted.FindAllString(said.String(), -1)) == 2 })
	}
}

// TestDocumentedConfiguration checks each configuration in the documents, as it stands but
// for the folder of the files that it names.
func TestDocumentedConfiguration(t *testing.T) {
	needs(t)
	dir := t.TempDir()
	command(t, gatewayBinary, "tls", "self-signed", "--dir", dir, "--name", "mx.example.net")
	for link, file := range map[string]string{
		"fullchain.pem": "cert.pem", "privkey.pem": "key.pem", "tls.crt": "cert.pem", "tls.key": "key.pem",
	} {
		if err := os.Symlink(filepath.Join(dir, file), filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "recipients"), []byte("ann@example.net\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := exec.CommandContext(t.Context(), gatewayBinary, "hash-password")
	hash.Stdin = strings.NewReader("secret")
	hashed, err := hash.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "users"), append([]byte("ann@example.net:"), hashed...), 0o600); err != nil {
		t.Fatal(err)
	}
	for document, blocks := range map[string]int{
		"../docs/balancer.md": 3, "../docs/tls.md": 2, "../docs/auth.md": 1, "../docs/verification.md": 1, "../docs/dns.md": 1,
	} {
		found := allYAML(t, document)
		if len(found) != blocks {
			t.Errorf("%s has %d blocks of YAML, want %d", document, len(found), blocks)
		}
		for _, block := range found {
			if _, own, more := strings.Cut(block, "# in sluice.yaml\n"); more {
				block = own // what is before it is for others
			}
			block = strings.NewReplacer("/etc/sluice/tls/", dir+"/", "/etc/sluice/", dir+"/").Replace(block)
			check := exec.CommandContext(t.Context(), gatewayBinary, "config", "check", "--config", writeFile(t, "sluice.yaml", block))
			check.Env = append(withoutSettings(), "SLUICE_DATA_DIR="+dir, "SLUICE_ACCEPT_DOMAINS=example.net")
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s:\n%s%v\n%s", document, block, err, out)
			}
		}
	}
}

// allYAML returns the blocks of YAML in a document.
func allYAML(t *testing.T, document string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)\n```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block[1])
	}
	if blocks == nil {
		t.Fatalf("no YAML in %s", document)
	}
	return blocks
}

// firstYAML returns the first block of YAML in a document.
func firstYAML(t *testing.T, document string) string {
	t.Helper()
	return allYAML(t, document)[0]
}

func storedFiles(t *testing.T, root string) (n int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for n == 0 && time.Now().Before(deadline) {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".eml") || strings.HasSuffix(path, ".tar") {
				n++
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return n
}

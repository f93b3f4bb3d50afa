package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
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
	} {
		t.Run(name, func(t *testing.T) {
			ports := regexp.MustCompile(`(?m)address: "[^"]*:(\d+)"`).FindStringSubmatch(config)
			if ports == nil {
				t.Fatalf("no listener in\n%s", config)
			}
			server, client := ownHosts(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "sluice.yaml")
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			// The servers behind are this machine's; whom it listens to is not.
			gateway := server.Command(context.WithoutCancel(t.Context()), gatewayBinary, "serve", "--config", file)
			gateway.Env = append(os.Environ(), "SLUICE_DATA_DIR="+dir, "SLUICE_STORE_KIND=dir",
				"SLUICE_EVENTS_KIND=embedded", "SLUICE_PRESSURE_LAG_GROUPS=", "SLUICE_DRAIN_GRACE=0s",
				"SLUICE_STORE_S3_SSE=")
			var said bytes.Buffer
			gateway.Stdout, gateway.Stderr = &said, &said
			if err := gateway.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = gateway.Process.Signal(syscall.SIGTERM)
				if err := gateway.Wait(); err != nil {
					t.Errorf("%v\n%s", err, said.String())
				}
			})
			testkit.Eventually(t, "the gateway is ready", func() bool {
				check := server.Command(t.Context(), gatewayBinary, "healthcheck", "--config", file)
				check.Env = gateway.Env
				return check.Run() == nil
			})
			mail := filepath.Join(dir, "mail")
			if err := os.WriteFile(mail, []byte("Subject: over the wire\r\n\r\ntext\r\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, from := range []*hosts.Host{server, client} {
				to := map[*hosts.Host]string{server: "127.0.0.1", client: server.Address}[from]
				out, err := from.Command(t.Context(), "curl", "-sS", "--max-time", "20", "smtp://"+to+":"+ports[1],
					"--mail-from", "a@example.org", "--mail-rcpt", "b@example.net", "-T", mail).CombinedOutput()
				if err != nil {
					t.Errorf("from %s: %v: %s", to, err, out)
				}
			}
			if n := storedFiles(t, filepath.Join(dir, "objects")); n == 0 {
				t.Error("nothing was stored")
			}
		})
	}
}

// firstYAML returns the first block of YAML in a document.
func firstYAML(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```yaml\n")
	block, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatalf("no YAML in %s", document)
	}
	return block
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

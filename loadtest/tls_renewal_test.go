package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// mount makes the folder of a gateway's pair a volume of Kubernetes: links to the files of
// a folder that is swapped by one more link.
func (g *tlsGateway) mount(t *testing.T) {
	t.Helper()
	volume := filepath.Dir(g.cert)
	first := filepath.Join(volume, "..first")
	if err := os.Mkdir(first, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.Rename(filepath.Join(volume, name), filepath.Join(first, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("..first", filepath.Join(volume, "..data")); err != nil {
		t.Fatal(err)
	}
}

// swap puts a new pair into the volume as the kubelet does.
func (g *tlsGateway) swap(t *testing.T) {
	t.Helper()
	volume := filepath.Dir(g.cert)
	command(t, gatewayBinary, "tls", "self-signed", "--dir", filepath.Join(volume, "..second"), "--name", "mx1.example.net")
	temp := filepath.Join(volume, "..data_tmp")
	if err := os.Symlink("..second", temp); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(volume, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(volume, "..first")); err != nil {
		t.Fatal(err)
	}
}

// TestCertbotHook runs the hook of docs/tls.md as certbot does, for another certificate
// first. Its folder holds links, and the hook leaves files that are nobody else's.
func TestCertbotHook(t *testing.T) {
	t.Parallel()
	needs(t, "openssl")
	page, err := os.ReadFile("../docs/tls.md")
	if err != nil {
		t.Fatal(err)
	}
	_, hook, _ := strings.Cut(string(page), "```sh\n")
	hook, _, _ = strings.Cut(hook, "```")
	gateway := newTLSGateway(t, "")
	in := filepath.Dir(gateway.cert)
	for from, to := range map[string]string{"cert.pem": "fullchain.pem", "key.pem": "privkey.pem"} {
		if err := os.Rename(filepath.Join(in, from), filepath.Join(in, to)); err != nil {
			t.Fatal(err)
		}
		gateway.Config = strings.ReplaceAll(gateway.Config, from, to)
	}
	gateway.cert = filepath.Join(in, "fullchain.pem")
	p := startGateway(t, gateway.Sluice)
	old := gateway.clientTLS(t)
	etc := t.TempDir()
	live, archive := filepath.Join(etc, "live", "mx.example.net"), filepath.Join(etc, "archive", "mx.example.net")
	command(t, gatewayBinary, "tls", "self-signed", "--dir", archive, "--name", "mx1.example.net")
	if err := os.MkdirAll(live, 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"cert.pem": "fullchain", "key.pem": "privkey"} {
		if err := os.Rename(filepath.Join(archive, from), filepath.Join(archive, to+"2.pem")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "archive", "mx.example.net", to+"2.pem"), filepath.Join(live, to+".pem")); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	script := writeFile(t, "sluice", strings.NewReplacer("-o sluice -g sluice", "-o "+me.Username+" -g "+group.Name,
		"/etc/letsencrypt", etc, "/etc/sluice/tls", in).Replace(hook))
	for _, lineage := range []string{filepath.Join(etc, "live", "other.example.net"), live} {
		run := exec.CommandContext(t.Context(), "/bin/sh", "-c", script)
		if err := os.Chmod(script, 0o700); err != nil {
			t.Fatal(err)
		}
		run.Env = append(os.Environ(), "RENEWED_LINEAGE="+lineage, "RENEWED_DOMAINS=mx1.example.net")
		if out, err := run.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v\n%s", lineage, err, out)
		}
		hangUp(t, p) // or half a minute later
		trust := old
		if lineage == live {
			trust = gateway.clientTLS(t)
		}
		testkit.Eventually(t, "the certificate is that of the hook", func() bool {
			return tls.Client(from(t, "127.0.0.1", gateway.implicit), trust).Handshake() == nil
		})
	}
	if err := tls.Client(from(t, "127.0.0.1", gateway.implicit), old).Handshake(); err == nil {
		t.Error("the old certificate is still there")
	}
	entries, err := os.ReadDir(in)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

// TestTicketsOfFleet has a client go from one gateway to another: it resumes where the
// second has the key that the first one seals with, and only there.
func TestTicketsOfFleet(t *testing.T) {
	t.Parallel()
	needs(t, "curl")
	const before, next = "before before before before before be\n", "next next next next next next next ne\n"
	hexed := func(keys ...string) (text string) {
		for _, key := range keys {
			text += fmt.Sprintf("%x\n", key)
		}
		return text
	}
	type member struct {
		*tlsGateway
		tickets string
		reread  func()
	}
	start := func(keys ...string) *member {
		m := &member{tickets: writeFile(t, "tickets", hexed(keys...))}
		if err := os.Chmod(m.tickets, 0o600); err != nil {
			t.Fatal(err)
		}
		m.tlsGateway = newTLSGateway(t, fmt.Sprintf("  tickets_file: %q\n", m.tickets))
		p := startGateway(t, m.Sluice)
		m.reread = func() { hangUp(t, p) }
		return m
	}
	one, other := start(before), start(before)
	alone := newTLSGateway(t, "")
	startGateway(t, alone.Sluice)
	// client returns a client that keeps one ticket.
	client := func(version uint16) (resumes func(*tlsGateway) bool) {
		config := &tls.Config{
			InsecureSkipVerify: true, ServerName: "mx1.example.net", MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}
		return func(g *tlsGateway) bool {
			conn := tls.Client(from(t, "127.0.0.1", g.implicit), config)
			c := testkit.NewSMTP(t, conn)
			fmt.Fprint(conn, "QUIT\r\n")
			c.Expect("220 ", "221 ")
			conn.Close()
			return conn.ConnectionState().DidResume
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resumes := client(version)
		for i, step := range []struct {
			at   *tlsGateway
			want bool
		}{
			{one.tlsGateway, false}, {one.tlsGateway, true}, {other.tlsGateway, true}, {one.tlsGateway, true},
			{alone, false}, {alone, true}, {one.tlsGateway, false},
		} {
			if got := resumes(step.at); got != step.want {
				t.Errorf("%s, step %d: resumed %t", tls.VersionName(version), i, got)
			}
		}
	}
	// The key is changed as docs/tls.md says: a step here, then a step there.
	rotated := client(tls.VersionTLS13)
	for i, step := range []struct {
		at   *member
		keys []string
	}{
		{one, []string{before, next}}, {other, []string{before, next}}, {one, []string{next, before}},
		{other, []string{next, before}}, {one, []string{next}}, {other, []string{next}},
	} {
		rotated(one.tlsGateway)
		rotated(other.tlsGateway)
		if err := os.WriteFile(step.at.tickets, []byte(hexed(step.keys...)), 0o600); err != nil {
			t.Fatal(err)
		}
		was := metric(t, step.at.Sluice, `sluice_tls_file_reloads_total{result="ok"}`)
		step.at.reread()
		testkit.Eventually(t, "the keys were read", func() bool {
			return metric(t, step.at.Sluice, `sluice_tls_file_reloads_total{result="ok"}`) > was
		})
		if !rotated(one.tlsGateway) || !rotated(other.tlsGateway) {
			t.Errorf("step %d of the change: not resumed", i)
		}
	}
}

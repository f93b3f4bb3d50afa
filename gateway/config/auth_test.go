package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedUsers loads each configuration in the pages about users, as it stands but for
// the files and the names that it leaves open. A block that is indented has keys in place of
// some of the first one.
func TestDocumentedUsers(t *testing.T) {
	secret := secretFile(t, "secret")
	fill := strings.NewReplacer("TENANT", "11111111-2222-3333-4444-555555555555", "api://API", "api://API", "CLIENT", "66666666-2222-3333-4444-555555555555",
		"/run/secrets/ldap", secret, "/run/secrets/keycloak", secret, "/etc/sluice/example-ca.pem", "testdata/tls/cert.pem",
		"/etc/sluice/tls/fullchain.pem", "testdata/tls/cert.pem", "/etc/sluice/tls/privkey.pem", "testdata/tls/key.pem", "/etc/sluice/users", "testdata/users")
	for document, blocks := range map[string]int{"auth.md": 1, "ldap.md": 4, "entra.md": 2, "keycloak.md": 2} {
		text, err := os.ReadFile(filepath.Join("../../docs", document))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile("(?s)\n```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(found) != blocks {
			t.Errorf("%s has %d blocks of YAML, want %d", document, len(found), blocks)
		}
		for _, block := range found {
			yaml := block[1]
			if strings.HasPrefix(yaml, " ") {
				yaml = replaceKeys(found[0][1], yaml)
			}
			env := []string{
				`SLUICE_LISTENERS=[{address: "127.0.0.1:587", role: submission}]`, "SLUICE_AUTH_ALLOW_PLAINTEXT=true",
				"SLUICE_AUTH_STATIC_FILE=testdata/users",
			}
			if strings.Contains(yaml, "listeners:") {
				env = nil
			}
			c, err := loadOn(testMachine, Sources{File: file(t, fill.Replace(yaml)), Env: env})
			if err != nil {
				t.Errorf("%s:\n%s%v", document, yaml, err)
			}
			for _, warning := range c.Warnings() {
				if strings.Contains(warning, "auth.") {
					t.Errorf("%s:\n%swarns %s", document, yaml, warning)
				}
			}
		}
	}
}

// replaceKeys returns a block of YAML with the lines of other ones in place of those with the
// same key, or at its end.
func replaceKeys(block, others string) string {
	keyOf := func(line string) string { return line[:strings.Index(line, ":")+1] }
	lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
	for other := range strings.Lines(others) {
		at := len(lines)
		for i, line := range lines {
			if keyOf(line) == keyOf(other) {
				at = i
			}
		}
		if at == len(lines) {
			lines = append(lines, "")
		}
		lines[at] = strings.TrimSuffix(other, "\n")
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestListenersForUsers stops the start where passwords would be anybody's, and warns where
// they may be.
func TestListenersForUsers(t *testing.T) {
	const yes = "auth: {backends: [static], static: {file: testdata/users}, allow_plaintext: true}\n"
	for listener, want := range map[string]string{
		`address: "127.0.0.1:587"`: "", `address: "[::1]:587"`: "", `address: "localhost:587"`: "",
		`address: ":587"`: "stops", `address: "0.0.0.0:587"`: "stops", `address: "[::]:587"`: "stops", `address: "192.0.2.1:587"`: "stops",
		`address: "127.0.0.1:587", proxy_protocol: required, proxy_networks: ["127.0.0.1"]`: "proxies pass clients on",
		`address: "127.0.0.1:587", xclient_networks: ["127.0.0.1"]`:                         "proxies pass clients on",
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, yes+"listeners: [{"+listener+", role: submission}]\naccept: {domains: [example.net]}\n")})
		switch warnings := strings.Join(c.Warnings(), "\n"); {
		case want == "stops":
			if err == nil || !strings.Contains(err.Error(), "auth.allow_plaintext") {
				t.Errorf("%s: %v", listener, err)
			}
		case err != nil:
			t.Errorf("%s: %v", listener, err)
		case want == "" && strings.Contains(warnings, "auth."), !strings.Contains(warnings, want):
			t.Errorf("%s warns %s", listener, warnings)
		}
	}
}

// TestSenders has each kind of auth.senders allow what it says, and warns of users who may
// send as each other.
func TestSenders(t *testing.T) {
	list := file(t, "ann@example.net news@example.org\n")
	for sender, want := range map[string]string{
		"own": "ann@example.net", "domain": "ann@example.net bob@example.net", "any": "ann@example.net bob@example.net news@example.org",
		list: "ann@example.net news@example.org",
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, `listeners: [{address: "127.0.0.1:587", role: submission}]
auth: {backends: [static], static: {file: testdata/users}, allow_plaintext: true, senders: `+sender+"}\n")})
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		for _, path := range []string{"ann@example.net", "bob@example.net", "news@example.org"} {
			if c.SenderPolicy().Allows("ann@example.net", []byte(path)) {
				allowed = append(allowed, path)
			}
		}
		if got := strings.Join(allowed, " "); got != want {
			t.Errorf("%s: ann may send as %s, want %s", sender, got, want)
		}
		if got := strings.Contains(strings.Join(c.Warnings(), "\n"), "auth.senders is any"); got != (sender == "any") {
			t.Errorf("%s: warns %t", sender, got)
		}
	}
}

package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// differingIn returns the default configuration with one key of another.
func differingIn(t *testing.T, k *key, other *Config) Config {
	t.Helper()
	c := DefaultOn(testMachine)
	if _, secret := k.place(&c).(secretValue); secret {
		*k.place(&c).(secretValue).at = NewSecret("another")
		return c
	}
	text := k.place(other).String()
	root, syntax := parseYAML("key: " + text)
	if syntax != nil {
		t.Fatal(syntax)
	}
	if f := k.place(&c).read(root.fields[0].value); f != nil {
		t.Fatalf("%s: %s: %+v", k.path, text, f)
	}
	return c
}

// TestReloadable lists the keys that a running gateway can change.
func TestReloadable(t *testing.T) {
	want := []string{
		"hostname", "log.level", "log.messages", "trusted_networks", "smuggling", "smuggling_exempt",
		"accept.domains", "accept.any", "accept.recipients_file", "accept.recipient_delimiter", "strict_paths",
		"limits.recipients", "limits.connections_per_ip", "limits.stalled_sessions", "limits.command_errors", "limits.recipient_errors",
		"limits.junk_commands", "limits.messages", "limits.received_headers", "limits.min_data_rate",
		"tls.certificates", "tls.min_version", "tls.client_auth", "tls.client_ca_file", "tls.tickets_file", "tls.offer_requiretls",
		"auth.senders", "auth.allow_plaintext", "auth.explain", "auth.static.file",
		"verify.authserv_id", "verify.deadline", "verify.exempt_domains", "verify.policy.spf_fail", "verify.policy.dmarc_reject",
		"verify.policy.dmarc_quarantine", "verify.policy.bad_from", "verify.policy.temperror",
		"timeouts.proxy", "timeouts.handshake", "timeouts.auth", "timeouts.greeting", "timeouts.command", "timeouts.data_start", "timeouts.data_block",
		"timeouts.credit", "timeouts.stall",
		"drain.grace", "drain.deadline", "admin.token",
	}
	before, other := DefaultOn(testMachine), unlikeDefault()
	for i := range keys {
		k := &keys[i]
		next := differingIn(t, k, &other)
		need := before.NeedRestart(&next)
		if slices.Contains(want, k.path) || strings.HasPrefix(k.path, "pressure.") && !slices.Contains(need, k.path) {
			if len(need) != 0 {
				t.Errorf("%s needs a restart for %v", k.path, need)
			}
			continue
		}
		if !slices.Equal(need, []string{k.path}) {
			t.Errorf("%s: needs a restart for %v", k.path, need)
		}
	}
	if same := before.NeedRestart(&before); len(same) > 0 {
		t.Errorf("without a change: %v", same)
	}
}

// TestRotatedSecrets: what a secret's file holds is read again while the gateway runs, so
// another secret in it stands in the way of no reload. Another file does.
func TestRotatedSecrets(t *testing.T) {
	withFile := func(file, plain string) Config {
		c := DefaultOn(testMachine)
		for _, s := range []*Secret{&c.Store.S3.SecretKey, &c.Events.Kafka.SASL.Password} {
			*s = Secret{plain: plain, file: file}
		}
		c.Store.S3.AccessKey, c.Store.S3.accessKeyFile = plain, file
		return c
	}
	before, rotated, moved := withFile("/run/secret", "old"), withFile("/run/secret", "new"), withFile("/run/other", "old")
	if need := before.NeedRestart(&rotated); len(need) > 0 {
		t.Errorf("other secrets in the same files need a restart for %v", need)
	}
	if need := before.NeedRestart(&moved); len(need) != 3 {
		t.Errorf("other files need a restart for %v", need)
	}
}

// TestHash: each key changes the hash, except those in which the processes of a fleet
// differ.
func TestHash(t *testing.T) {
	before, other := DefaultOn(testMachine), unlikeDefault()
	if h := before.Hash(); len(h) != 16 || h != before.Hash() {
		t.Errorf("hash %q", h)
	}
	own := []string{
		"hostname", "data_dir", "admin.address", "events.embedded.address", "accept.recipients_file",
		"tls.certificates", "tls.client_ca_file", "tls.tickets_file", "auth.static.file", "auth.ldap.ca_file", "auth.ldap.bind_password_file", "auth.oidc.client_secret_file",
		"store.s3.access_key", "store.s3.secret_key", "events.kafka.sasl.password",
		"admin.token", "index.sqlite.path", "index.postgres.url",
	}
	for i := range keys {
		k := &keys[i]
		next := differingIn(t, k, &other)
		if same := next.Hash() == before.Hash(); same != slices.Contains(own, k.path) {
			t.Errorf("%s: the hash is the same: %v", k.path, same)
		}
	}
	moved := DefaultOn(testMachine)
	moved.Listeners[0].Address = "10.0.0.1:25"
	if moved.Hash() != before.Hash() {
		t.Error("the address of a listener changes the hash")
	}
	secure := DefaultOn(testMachine)
	secure.Listeners[0].TLS = TLSStart
	if secure.Hash() == before.Hash() {
		t.Error("TLS at a listener does not change the hash")
	}
	listed := DefaultOn(testMachine)
	listed.Accept.RecipientsFile = "testdata/recipients"
	if err := listed.Validate(ForServe); err != nil || listed.Hash() == before.Hash() {
		t.Errorf("the list of recipients does not change the hash (%v)", err)
	}
}

// README says of everything that only a restart changes that it is so.
func TestStartOnlyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "What only a restart changes is refused whole too")
	list, _, _ = strings.Cut(list, "\n")
	for _, key := range startOnly {
		section, name, _ := strings.Cut(key, ".")
		if section != "pressure" && // its keys are paraphrased
			!strings.Contains(list, "`"+key+"`") && !strings.Contains(list, "`"+name+"`") {
			t.Errorf("README.md does not list %s", key)
		}
	}
}

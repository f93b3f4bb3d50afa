package config

import (
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sluice/gateway/certificates"
	"sluice/gateway/identity/ldap"
	"sluice/gateway/verify"
)

var updateBad = flag.Bool("update.bad", false, "write the expected messages of testdata/bad anew")

// testMachine is a machine of fixed size, so that messages do not depend on
// where the tests run.
var testMachine = Machine{Hostname: "mx.example.org", Files: 20000, Memory: int64(4 * GiB)}

func loadOn(m Machine, from Sources) (Config, error) {
	return LoadOn(m, from, ForServe)
}

// file writes a configuration file and returns its path.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestEveryKeyRejectsNonsense checks that every problem names its key, what was expected,
// and a remedy.
func TestEveryKeyRejectsNonsense(t *testing.T) {
	for i := range keys {
		k := &keys[i]
		t.Run(k.path, func(t *testing.T) {
			nonsense := "\x01"
			if k.path == "data_dir" || k.path == "index.sqlite.path" { // accepts any text
				nonsense = "\x00"
			}
			_, err := loadOn(testMachine, Sources{Env: []string{k.env() + "=" + nonsense}})
			if err == nil {
				t.Fatalf("%s=%q was accepted", k.env(), nonsense)
			}
			for _, part := range []string{k.env() + ": " + k.path, "expected " + k.expected, "set e.g. " + k.env() + "="} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %s", part, err)
				}
			}
		})
	}
}

// TestEveryExampleIsRight checks that the settings suggested by errors are valid.
func TestEveryExampleIsRight(t *testing.T) {
	for i := range keys {
		k := &keys[i]
		t.Run(k.path, func(t *testing.T) {
			// Files that are on no machine but the user's.
			if here := map[string]string{
				"accept.recipients_file": "testdata/recipients", "tls.client_ca_file": "testdata/tls/cert.pem", "tls.tickets_file": "testdata/tls/tickets",
				"auth.static.file": "testdata/users", "auth.ldap.ca_file": "testdata/tls/cert.pem", "auth.ldap.bind_password_file": "testdata/users", "auth.oidc.client_secret_file": "testdata/users",
				"tls.certificates": `[{cert_file: "testdata/tls/cert.pem", key_file: "testdata/tls/key.pem"}]`,
			}[k.path]; here != "" {
				defer func(example string) { k.example = example }(k.example)
				k.example = here
			}
			fromEnv, err := loadOn(testMachine, Sources{Env: []string{k.env() + "=" + plain(k.example)}})
			if err != nil && k.path != "accept.any" { // the example is the safe value, which accepts no mail
				t.Error(err)
			}
			if _, set := fromEnv.origins[k.path]; !set {
				t.Errorf("%s did not set the key", k.env())
			}
			inFile := strings.ReplaceAll(k.path, ".", ": {") + ": " + k.example + strings.Repeat("}", strings.Count(k.path, "."))
			fromFile, err := loadOn(testMachine, Sources{File: file(t, inFile)})
			if err != nil && !strings.Contains(err.Error(), "all recipients would be answered 550") {
				t.Errorf("%s: %v", inFile, err)
			}
			if a, b := k.place(&fromEnv).String(), k.place(&fromFile).String(); a != b {
				t.Errorf("environment %s, file %s", a, b)
			}
		})
	}
}

// unlikeDefault returns a configuration in which no key has its default.
func unlikeDefault() Config {
	c := DefaultOn(testMachine)
	c.Hostname = "mx7.example.net"
	c.DataDir = "/var/lib/a \"b\"\n\\c: #d é"
	c.UnsafeDiscard = true
	c.Listeners = []ListenerConfig{
		{Address: ":25", Role: RoleMX, TLS: TLSStart, ProxyProtocol: ProxyRequired, ProxyNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
		{Address: "[::1]:2526", Role: RoleSubmission, TLS: TLSImplicit, ProxyProtocol: ProxyOff, XclientNetworks: []netip.Prefix{netip.MustParsePrefix("::1/128")}},
	}
	c.TLS = TLSConfig{[]certificates.Pair{testPair},
		"1.3", "require", "testdata/tls/cert.pem", "testdata/tls/tickets", 1025, true}
	c.Auth = AuthConfig{[]string{BackendStatic}, "testdata/senders", true, true, time.Minute, 257, StaticUsersConfig{"testdata/users"},
		ldap.Options{URL: "ldap://ldap.example.net", StartTLS: true, CAFile: "testdata/tls/cert.pem", BaseDN: "ou=people", Filter: "(uid=%s)",
			UserDN: "uid=%s,ou=people", IdentityAttribute: "mail", BindDN: "cn=sluice", BindPasswordFile: "testdata/users"},
		OIDCConfig{"https://id.example.net", []string{"https://id2.example.net"}, []string{"api://sluice"}, "id", "testdata/users", "openid", "email", []string{"SMTP.Send"}}}
	c.Verify = VerifyConfig{true, "mx.example.net", 11 * time.Second, []string{"lists.example.org", "*.example.com"},
		verify.Policy{SPFFail: verify.Reject, DMARCReject: verify.Defer, DMARCQuarantine: verify.Accept, BadFrom: verify.Quarantine, TempError: verify.Defer}}
	c.Admin = AdminConfig{"[::1]:8026", Secret{plain: hush}}
	c.Log = LogConfig{Level: -4, Messages: 0.25, Format: FormatJSON}
	c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	c.Smuggling = SmugglingTolerate
	c.SmugglingExempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	c.Accept = AcceptConfig{Domains: []string{"example.net", "*.example.org"}, RecipientsFile: "testdata/recipients", RecipientDelimiter: "+"}
	c.Limits = LimitsConfig{1<<20 + 1, 101, 102, 0, 110, 104, 109, 105, 106, 107, 108}
	c.Timeouts = TimeoutsConfig{time.Second, 31 * time.Second, 21 * time.Second, time.Second, 2500 * time.Millisecond, 3 * time.Second, time.Hour, 61 * time.Second, 6 * time.Second, 90 * time.Minute / 10, 8 * time.Second}
	c.Memory.Bodies = Share{Octets: 123 * MiB}
	c.Socket = SocketConfig{8 * KiB, 5000}
	c.Store = StoreConfig{Kind: KindDiscard, Packing: PackingOff, Pack: PackConfig{3, 9 * MiB, 5, 2 * MiB, time.Millisecond}, S3: S3Config{
		"s3.example.net", "mail-7", "eu-west-1", true, "/etc/ca.pem", "iam", "key", Secret{plain: hush}, 6 * MiB, 7, true, "aws:kms:k", ""}}
	c.Events = EventsConfig{Kind: KindDiscard, Topic: "a.b_c-d", Embedded: EmbeddedConfig{"127.0.0.1:0", 7, 90 * time.Second, 3 * GiB, "gzip"}, Kafka: KafkaConfig{
		[]string{"k1.example.net:9092", "[::1]:9093"}, true, "/etc/kafka.pem", "kafka.example.net",
		SASLConfig{"SCRAM-SHA-256", "user", Secret{plain: hush}}, CreateTopicConfig{7, 2}, "zstd", 7 * time.Millisecond}}
	c.Index = IndexConfig{IndexOff, "support", 501, 3, 5 * KiB, IndexFieldsConfig{[]string{"subject", "text"}}, 721 * time.Hour,
		SQLiteConfig{"/var/lib/index.db"}, PostgresConfig{Secret{plain: hush}, 9, 31 * time.Second}}
	c.DNS = DNSConfig{[]string{"192.0.2.53", "[2001:db8::53]:5353"}, 4 * time.Second, 65 * MiB}
	c.Drain = DrainConfig{time.Second, 2 * time.Second}
	c.StrictPaths = true
	c.Process.Scheduling = SchedulingInherit
	c.Pressure = PressureConfig{
		Lag: LagConfig{[]string{"indexer", "a:b"}, 1, 2, time.Second, time.Hour, 200 * time.Millisecond, time.Second, StaleShed, UncommittedIgnore},
		Classes: []ClassConfig{
			{"own", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}, false, 0, 7, 0, 0},
			{"customers", nil, true, 5, 6, time.Minute, time.Hour},
		},
		Memory: PercentBand{1, 2}, UploadAge: TimeBand{3, 4 * time.Second}, ProducerBuffer: PercentBand{5, 6},
		StoreErrors: PercentBand{7, 8}, EventsErrors: PercentBand{9, 10}, UnreadEvents: PercentBand{11, 12}, OpenFiles: PercentBand{0, 9},
	}
	return c
}

// plainConfig returns the configuration without the origins that loading records.
func plainConfig(c Config) Config {
	c.origins, c.file, c.recipients, c.certificates, c.users, c.senders = nil, "", nil, nil, nil, nil
	return c
}

func TestPrintedConfigurationReadsTheSame(t *testing.T) {
	for name, c := range map[string]Config{"default": DefaultOn(testMachine), "unlike default": unlikeDefault()} {
		t.Run(name, func(t *testing.T) {
			var printed strings.Builder
			if err := c.Print(&printed); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(printed.String(), hush) {
				t.Error("a secret was printed")
			}
			whole := strings.ReplaceAll(printed.String(), redacted, hush)
			again, err := loadOn(testMachine, Sources{File: file(t, whole)})
			if err != nil {
				t.Fatalf("%v\nin\n%s", err, printed.String())
			}
			if got, want := plainConfig(again), plainConfig(c); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v\nfrom\n%s", got, want, printed.String())
			}
			for _, k := range keys {
				if again.origins[k.path].layer != byFile {
					t.Errorf("%s was not printed", k.path)
				}
			}
		})
	}
}

// TestEveryFieldIsAKey checks that every field of Config has a key, so that nothing can
// be set in code alone.
func TestEveryFieldIsAKey(t *testing.T) {
	var c Config
	places := make(map[uintptr]string)
	for _, k := range keys {
		at := reflect.ValueOf(k.place(&c)).FieldByName("at").Pointer()
		if other, taken := places[at]; taken {
			t.Errorf("%s and %s are one field", other, k.path)
		}
		places[at] = k.path
	}
	var walk func(v reflect.Value, name string)
	walk = func(v reflect.Value, name string) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			switch {
			case !field.IsExported():
			case field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[Share]():
				walk(v.Field(i), name+"."+field.Name)
			case places[v.Field(i).Addr().Pointer()] == "":
				t.Errorf("Config%s.%s has no key", name, field.Name)
			}
		}
	}
	walk(reflect.ValueOf(&c).Elem(), "")
}

func TestDefaultIsTheEmbeddedDefault(t *testing.T) {
	c, err := loadOn(testMachine, Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(plainConfig(c), plainConfig(DefaultOn(testMachine))) {
		t.Error("an empty configuration is not the default")
	}
	if c.Listeners[0].Address != "127.0.0.1:2525" || !c.Accept.Any || c.Admin.Address != "127.0.0.1:8025" ||
		c.Events.Embedded.Address != "127.0.0.1:9094" || c.ObjectsDir() != "sluice-data/objects" {
		t.Errorf("%+v", c)
	}
	if c.Limits.Connections != 19000 {
		t.Errorf("limits.connections = %d with 20000 files", c.Limits.Connections)
	}
	if got := c.BodyMemory(); got < int64(GiB)-100 || got > int64(GiB) {
		t.Errorf("memory.bodies is %d of 4 GiB", got)
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
}

func TestLaterSourcesOverrideEarlier(t *testing.T) {
	path := file(t, "hostname: file.example\ndata_dir: file\nadmin: {address: 127.0.0.1:1}\naccept: {any: true}\n")
	c, err := loadOn(testMachine, Sources{
		File:  path,
		Env:   []string{"SLUICE_DATA_DIR=env", "SLUICE_ADMIN_ADDRESS=127.0.0.1:2", "OTHER=x"},
		Flags: []Flag{{"--admin", "admin.address", "127.0.0.1:3"}, {"--listen", "listeners", "127.0.0.1:4,127.0.0.1:5"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ path, value, origin string }{
		{"hostname", `"file.example"`, path + ":1"},
		{"data_dir", `"env"`, "SLUICE_DATA_DIR"},
		{"admin.address", `"127.0.0.1:3"`, "--admin"},
		{"listeners", `[{address: "127.0.0.1:4"}, {address: "127.0.0.1:5"}]`, "--listen"},
		{"log.level", "info", "default"},
	} {
		if got := findKey(keys, want.path).place(&c).String(); got != want.value {
			t.Errorf("%s = %s, want %s", want.path, got, want.value)
		}
		if got := c.origins[want.path].String(); got != want.origin {
			t.Errorf("%s is from %s, want %s", want.path, got, want.origin)
		}
	}
}

func TestWhoseMailIsTakenWithoutAFile(t *testing.T) {
	for _, c := range []struct {
		name, listen string
		env          []string
		any          bool
		problem      string
		warning      string
	}{
		{"loopback", "[::1]:2525", nil, true, "", ""},
		{"public", "0.0.0.0:2525", nil, true, "default: accept.any: got true (the default): expected a listener on loopback", ""},
		{"all addresses", ":2525", nil, true, "default: accept.any", ""},
		{"public, domains", ":25", []string{"SLUICE_ACCEPT_DOMAINS=example.net, *.Example.ORG"}, false, "", ""},
		{"public, chosen", ":25", []string{"SLUICE_ACCEPT_ANY=true"}, true, "", "accept.any is true on :25"},
		{"no one", "127.0.0.1:25", []string{"SLUICE_ACCEPT_ANY=false"}, false, "set e.g. SLUICE_ACCEPT_DOMAINS=example.net", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := loadOn(testMachine, Sources{Env: c.env, Flags: []Flag{{"--listen", "listeners", c.listen}}})
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
			if cfg.Accept.Any != c.any {
				t.Errorf("accept.any = %v", cfg.Accept.Any)
			}
			if warnings := strings.Join(cfg.Warnings(), "\n"); err == nil &&
				((c.warning == "") != (warnings == "") || !strings.Contains(warnings, c.warning)) {
				t.Errorf("warnings %q, want %q", warnings, c.warning)
			}
		})
	}
}

func TestLoggedConfigurationIsWhatWasSet(t *testing.T) {
	c, err := loadOn(testMachine, Sources{Env: []string{"SLUICE_LIMITS_RECIPIENTS=500", "SLUICE_HOSTNAME=mx1.example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("configuration", "set", &c)
	if !strings.HasSuffix(b.String(), `msg=configuration set.hostname="\"mx1.example.net\"" set.limits.recipients=500`+"\n") {
		t.Error(b.String())
	}
}

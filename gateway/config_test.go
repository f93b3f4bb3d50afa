package main

import (
	"flag"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the expected messages of testdata/bad anew")

// testMachine is a machine of fixed size, so that messages do not depend on
// where the tests run.
var testMachine = machine{hostname: "mx.example.org", files: 20000, memory: int64(4 * GiB)}

func loadOn(m machine, from Sources) (Config, error) {
	return loader{table: keys, machine: m}.load(from)
}

// file writes a configuration file.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadFilesSayWhatIsWrong(t *testing.T) {
	t.Chdir("testdata/bad") // messages begin with the name as it was given
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no bad files", err)
	}
	for _, name := range files {
		t.Run(name, func(t *testing.T) {
			_, err := loadOn(testMachine, Sources{File: name})
			if err == nil {
				t.Fatal("no error")
			}
			expected := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(expected, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(expected)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// Every problem names its key, what was expected and how to mend it.
func TestEveryKeyRejectsNonsense(t *testing.T) {
	for i := range keys {
		k := &keys[i]
		t.Run(k.path, func(t *testing.T) {
			nonsense := "\x01"
			if k.path == "data_dir" { // takes any text
				nonsense = ""
			}
			_, err := loadOn(testMachine, Sources{Env: []string{k.env() + "=" + nonsense}})
			if err == nil {
				t.Fatalf("%s=%q was taken", k.env(), nonsense)
			}
			for _, part := range []string{k.env() + ": " + k.path, "expected " + k.expected, "set e.g. " + k.env() + "="} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in: %s", part, err)
				}
			}
		})
	}
}

// What an error tells to set is taken.
func TestEveryExampleIsRight(t *testing.T) {
	for i := range keys {
		k := &keys[i]
		t.Run(k.path, func(t *testing.T) {
			fromEnv, err := loadOn(testMachine, Sources{Env: []string{k.env() + "=" + plain(k.example)}})
			if err != nil && k.path != "accept.any" { // the example is the safe value, which accepts nobody
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

// unlikeDefault sets every key to something that is not its default.
func unlikeDefault() Config {
	c := defaultConfigOn(testMachine)
	c.Hostname = "mx7.example.net"
	c.DataDir = "/var/lib/a \"b\"\n\\c: #d é"
	c.UnsafeDiscard = true
	c.Listeners = []ListenerConfig{{":25"}, {"[::1]:2526"}}
	c.Admin.Address = "[::1]:8026"
	c.Log = LogConfig{Level: -4, Format: formatJSON}
	c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	c.Accept = AcceptConfig{Domains: []string{"example.net", "*.example.org"}, Any: false}
	c.Limits = LimitsConfig{1<<20 + 1, 101, 102, 0, 104, 105, 106, 107}
	c.Timeouts = TimeoutsConfig{time.Second, 2500 * time.Millisecond, 3 * time.Second, time.Hour, 61 * time.Second, 6 * time.Second, 90 * time.Minute / 10, 8 * time.Second}
	c.Memory.Bodies = Share{Octets: 123 * MiB}
	c.Socket = SocketConfig{8 * KiB, 5000}
	c.Store.Kind = kindDiscard
	c.Events = EventsConfig{Kind: kindDiscard, Topic: "a.b_c-d", Embedded: EmbeddedConfig{"127.0.0.1:0", 7, 90 * time.Second}}
	c.Drain = DrainConfig{time.Second, 2 * time.Second}
	return c
}

// plainConfig is a configuration without what loading notes down.
func plainConfig(c Config) Config {
	c.origins, c.file = nil, ""
	return c
}

func TestPrintedConfigurationReadsTheSame(t *testing.T) {
	for name, c := range map[string]Config{"default": defaultConfigOn(testMachine), "unlike default": unlikeDefault()} {
		t.Run(name, func(t *testing.T) {
			var printed strings.Builder
			if err := c.Print(&printed); err != nil {
				t.Fatal(err)
			}
			again, err := loadOn(testMachine, Sources{File: file(t, printed.String())})
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

func TestEveryKeyHasAVariable(t *testing.T) {
	want := unlikeDefault()
	var environ []string
	names := make(map[string]string)
	for i := range keys {
		k := &keys[i]
		if other, taken := names[k.env()]; taken {
			t.Errorf("%s is the variable of %s and of %s", k.env(), other, k.path)
		}
		if serviceLink.MatchString(k.env()) {
			t.Errorf("%s looks like one that Kubernetes makes", k.env())
		}
		names[k.env()] = k.path
		value := k.place(&want).String()
		if strings.HasPrefix(value, `"`) {
			value = *k.place(&want).(word).at
		}
		environ = append(environ, k.env()+"="+plainUnlessQuoted(value))
	}
	got, err := loadOn(testMachine, Sources{Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := plainConfig(got), plainConfig(want); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// plainUnlessQuoted writes a list as the environment does.
func plainUnlessQuoted(value string) string {
	if strings.HasPrefix(value, "[{") || strings.HasPrefix(value, `["`) {
		return plain(value)
	}
	return value
}

// Every field of Config is a key: nothing can be set in code alone.
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
	if !reflect.DeepEqual(plainConfig(c), plainConfig(defaultConfigOn(testMachine))) {
		t.Error("nothing set is not the default")
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

func TestBadVariables(t *testing.T) {
	for _, c := range []struct{ variable, problem string }{
		{"SLUICE_LIMITS_RECIPIENT=5", "SLUICE_LIMITS_RECIPIENT: unknown variable: expected SLUICE_ and a key in upper case, with underscores for dots; did you mean SLUICE_LIMITS_RECIPIENTS?"},
		{"SLUICE_NONSENSE=1", "SLUICE_NONSENSE: unknown variable: expected SLUICE_ and a key in upper case, with underscores for dots; unset it, or see sluice config print"},
		{"SLUICE_LIMITS_RECIPIENTS=lots", `SLUICE_LIMITS_RECIPIENTS: limits.recipients: got "lots": expected a whole number of at least 100 (RFC 5321 §4.5.3.1.8) and at most 3000 (more would not fit in one event); set e.g. SLUICE_LIMITS_RECIPIENTS=1000`},
		{"SLUICE_LISTENERS=", `SLUICE_LISTENERS: listeners: got none: expected a list of different addresses, each an IP address and a port, such as "127.0.0.1:2525" or ":25"; set e.g. SLUICE_LISTENERS=127.0.0.1:2525`},
		{"SLUICE_TRUSTED_NETWORKS=10.0.0.0/8,x", `SLUICE_TRUSTED_NETWORKS: trusted_networks[1]: got "x" (neither an address nor a prefix): expected a list of IP addresses and prefixes; set e.g. SLUICE_TRUSTED_NETWORKS=192.0.2.0/24,2001:db8::1`},
		{"SLUICE_STORE_KIND=s3", `SLUICE_STORE_KIND: store.kind: got "s3" (not built into this version): expected dir, or discard for benchmarks; set e.g. SLUICE_STORE_KIND=dir`},
	} {
		_, err := loadOn(testMachine, Sources{Env: []string{c.variable}})
		if err == nil || err.Error() != c.problem {
			t.Errorf("%s: got\n%v\nwant\n%s", c.variable, err, c.problem)
		}
	}
}

// A Service named sluice must not keep the pods of its namespace from starting.
func TestServiceLinksAreIgnored(t *testing.T) {
	_, err := loadOn(testMachine, Sources{Env: []string{
		"SLUICE_SERVICE_HOST=10.1.2.3", "SLUICE_SERVICE_PORT=25", "SLUICE_SERVICE_PORT_SMTP=25",
		"SLUICE_PORT=tcp://10.1.2.3:25", "SLUICE_PORT_25_TCP=tcp://10.1.2.3:25", "SLUICE_PORT_25_TCP_PROTO=tcp",
		"SLUICE_PORT_25_TCP_PORT=25", "SLUICE_PORT_25_TCP_ADDR=10.1.2.3", "SLUICE_ADMIN_SERVICE_HOST=10.1.2.4",
		"SLUICE_CONFIG=elsewhere",
	}})
	if err != nil {
		t.Error(err)
	}
}

func TestUnreadableFile(t *testing.T) {
	folder := t.TempDir()
	large := file(t, strings.Repeat("# padding\n", maxFile/10+1))
	for path, why := range map[string]string{
		filepath.Join(folder, "none.yaml"): "no such file or directory",
		folder:                             "is a directory",
		large:                              "longer than 1MiB",
	} {
		_, err := loadOn(testMachine, Sources{File: path})
		want := path + ": cannot be read: " + why + ": expected a YAML file of at most 1MiB; name another by --config or SLUICE_CONFIG"
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestFilesAsEditorsWriteThem(t *testing.T) {
	for _, content := range []string{
		"\ufeffaccept: {any: true}\nhostname: mx1.example.net\n",
		"accept: {any: true}\r\nhostname: mx1.example.net\r\n",
		"# comment\n---\naccept:\n  any: True\nhostname: 'mx1.example.net'\nlimits:\n  # all commented out\n",
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, content)})
		if err != nil || c.Hostname != "mx1.example.net" || !c.Accept.Any {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for warning, set := range map[string]func(*Config){
		"every message is answered 250 and LOST": func(c *Config) {
			c.UnsafeDiscard, c.Store.Kind, c.Events.Kind = true, kindDiscard, kindDiscard
		},
		"events name objects that are nowhere":                       func(c *Config) { c.UnsafeDiscard, c.Store.Kind = true, kindDiscard },
		"nobody is told":                                             func(c *Config) { c.UnsafeDiscard, c.Events.Kind = true, kindDiscard },
		"admin.address 0.0.0.0:8025 is not on loopback":              func(c *Config) { c.Admin.Address = "0.0.0.0:8025" },
		"events.embedded.address :9094 is not on loopback":           func(c *Config) { c.Events.Embedded.Address = ":9094" },
		"timeouts.command is 1m: a server should wait at least 5m":   func(c *Config) { c.Timeouts.Command = time.Minute },
		"hostname mx is not fully qualified":                         func(c *Config) { c.Hostname = "mx"; public(c) },
		"accept.any is true: accept.domains has no effect":           func(c *Config) { c.Accept.Domains = []string{"example.net"} },
		"accept.any is true on 192.0.2.1:25: whoever reaches it can": func(c *Config) { public(c); c.Accept = AcceptConfig{Any: true} },
	} {
		c := defaultConfigOn(testMachine)
		c.origins = map[string]origin{"accept.any": {layer: byFile}}
		set(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", warning, err)
		}
		if got := c.Warnings(); len(got) != 1 || !strings.Contains(got[0], warning) {
			t.Errorf("got %q, want %q", got, warning)
		}
	}
	c := defaultConfigOn(testMachine)
	c.UnsafeDiscard = true // allows, and discards nothing by itself
	if err := c.Validate(); err != nil || len(c.Warnings()) != 0 {
		t.Error(err, c.Warnings())
	}
}

func public(c *Config) {
	c.Listeners = []ListenerConfig{{"192.0.2.1:25"}}
	c.Accept = AcceptConfig{Domains: []string{"example.net"}}
}

func TestMachineBoundsConnections(t *testing.T) {
	for _, c := range []struct{ files, most, byDefault int }{
		{20000, 19000, 19000}, {1 << 20, 1<<20 - 1000, 19000}, {4096, 3096, 3096}, {1024, 768, 768}, {256, 128, 128}, {100, 0, 0},
	} {
		m := testMachine
		m.files = c.files
		cfg := defaultConfigOn(m)
		if cfg.Limits.Connections != c.byDefault {
			t.Errorf("%d files: default %d, want %d", c.files, cfg.Limits.Connections, c.byDefault)
		}
		cfg.Limits.Connections = c.most + 1
		if err := cfg.Validate(); err == nil {
			t.Errorf("%d files: %d connections were taken", c.files, c.most+1)
		}
	}
}

func TestSizesAndShares(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "1024": KiB, "64KiB": 64 * KiB, "50MiB": 50 * MiB, "2GiB": 2 * GiB, "9223372036854775807": math.MaxInt64} {
		got, ok := parseSize(text)
		if !ok || got != want {
			t.Errorf("%s is %d, %v", text, got, ok)
		}
		if again, ok := parseSize(got.String()); !ok || again != got {
			t.Errorf("%s is printed as %s", text, got)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5MiB", "50MB", "50 MiB", "MiB", "8589934592GiB", "9223372036854775808", "1e3", "1kib"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
	for _, text := range []string{"%", "0%", "-1%", "99999999999%", "1.5%", "x"} {
		if got, ok := parseShare(text); ok {
			t.Errorf("%q was taken as %v", text, got)
		}
	}
	if got := (Share{Percent: 75}).of(math.MaxInt64); got < 0 {
		t.Errorf("75%% of the largest memory is %d", got)
	}
}

func TestDomains(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"example.net": true, "localhost": true, "xn--bcher-kva.example": true, "3com.example": true, "a-b.c": true, long + ".example": true,
		"": false, ".": false, "example.net.": false, ".example.net": false, "a..b": false, "-a.b": false, "a-.b": false, "a_b.c": false,
		"Example.net": false, "bücher.example": false, "192.0.2.1": false, "::1": false, "[192.0.2.1]": false, "a b": false,
		long + "a.example": false, strings.Repeat("abc.", 63) + "ab": false,
	} {
		if got := isDomain(name); got != want {
			t.Errorf("isDomain(%q) = %v", name, got)
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.9.9.9:25": true, "[::1]:25": true, "localhost:25": true, "[::ffff:127.0.0.1]:25": true,
		":25": false, "0.0.0.0:25": false, "[::]:25": false, "192.0.2.1:25": false, "nonsense": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("isLoopback(%q) = %v", address, got)
		}
	}
}

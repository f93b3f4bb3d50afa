package config

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
)

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
			t.Errorf("%s looks like a variable of Kubernetes", k.env())
		}
		names[k.env()] = k.path
		value := k.place(&want).String()
		if strings.HasPrefix(value, `"`) {
			if value = hush; !isSecret(k) {
				var err error
				if value, err = strconv.Unquote(k.place(&want).String()); err != nil {
					t.Fatal(err)
				}
			}
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
	if strings.HasPrefix(value, `["`) {
		return plain(value)
	}
	return value
}

func TestBadVariables(t *testing.T) {
	for _, c := range []struct{ variable, problem string }{
		{"SLUICE_LIMITS_RECIPIENT=5", "SLUICE_LIMITS_RECIPIENT: unknown variable: expected SLUICE_ and a key in upper case, with underscores for dots; did you mean SLUICE_LIMITS_RECIPIENTS?"},
		{"SLUICE_NONSENSE=1", "SLUICE_NONSENSE: unknown variable: expected SLUICE_ and a key in upper case, with underscores for dots; unset it, or see sluice config print"},
		{"SLUICE_LIMITS_RECIPIENTS=lots", `SLUICE_LIMITS_RECIPIENTS: limits.recipients: got "lots": expected a whole number of at least 100 (RFC 5321 §4.5.3.1.8) and at most 3000 (more would not fit in one event); set e.g. SLUICE_LIMITS_RECIPIENTS=1000`},
		{"SLUICE_LISTENERS=foo", `SLUICE_LISTENERS: listeners[0].address: got "foo": expected a list of different addresses, each an IP address and a port, such as "127.0.0.1:2525" or ":25", and if need be role (mx, or submission for users who authenticate), tls (off, starttls, required or implicit), proxy_protocol (off or required), proxy_networks and xclient_networks; set e.g. SLUICE_LISTENERS=127.0.0.1:2525`},
		{`SLUICE_LISTENERS=[{address: "127.0.0.1:25", proxy_protocol: required}]`, `SLUICE_LISTENERS: listeners[0].proxy_networks: got none (proxy_protocol: required needs the networks of the load balancers): expected a list of different addresses, each an IP address and a port, such as "127.0.0.1:2525" or ":25", and if need be role (mx, or submission for users who authenticate), tls (off, starttls, required or implicit), proxy_protocol (off or required), proxy_networks and xclient_networks; set e.g. SLUICE_LISTENERS=[{address: ":2525", proxy_protocol: required, proxy_networks: ["192.0.2.1"]}]`},
		{"SLUICE_LISTENERS=", `SLUICE_LISTENERS: listeners: got none: expected a list of different addresses, each an IP address and a port, such as "127.0.0.1:2525" or ":25", and if need be role (mx, or submission for users who authenticate), tls (off, starttls, required or implicit), proxy_protocol (off or required), proxy_networks and xclient_networks; set e.g. SLUICE_LISTENERS=127.0.0.1:2525`},
		{"SLUICE_TRUSTED_NETWORKS=10.0.0.0/8,x", `SLUICE_TRUSTED_NETWORKS: trusted_networks[1]: got "x" (neither an address nor a prefix): expected a list of IP addresses and prefixes; set e.g. SLUICE_TRUSTED_NETWORKS=192.0.2.0/24,2001:db8::1`},
		{"SLUICE_STORE_KIND=s3", `default: store.s3.access_key: got "" (the default): expected the name of a key, because store.s3.credentials is static; set it and store.s3.secret_key_file, or e.g. SLUICE_STORE_S3_CREDENTIALS=env`},
	} {
		_, err := loadOn(testMachine, Sources{Env: []string{c.variable}})
		if err == nil || err.Error() != c.problem {
			t.Errorf("%s: got\n%v\nwant\n%s", c.variable, err, c.problem)
		}
	}
}

// TestServiceLinksAreIgnored checks that a Service named sluice does not prevent pods of
// its namespace from starting.
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

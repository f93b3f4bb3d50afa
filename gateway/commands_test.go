package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/gateway/admin"
	"sluice/gateway/config"
	"sluice/gateway/config/configtest"
	"sluice/gateway/server"
)

// ran is the result of a command.
type ran struct {
	code     int
	out, err string
	served   *config.Config
}

func run(env []string, failure error, args ...string) ran {
	var out, errs strings.Builder
	var r ran
	w := app{env: env, out: &out, err: &errs, serve: func(_ context.Context, o server.Options) error {
		r.served = &o.Config
		return failure
	}}
	r.code = w.run(args)
	r.out, r.err = out.String(), errs.String()
	return r
}

func TestCommands(t *testing.T) {
	good := configtest.File(t, "accept: {domains: [example.net]}\nhostname: mx1.example.net\n")
	bad := configtest.File(t, "accept: {domains: [example.net]}\nhostname: mx_1\n")
	for _, c := range []struct {
		name     string
		env      []string
		args     string
		code     int
		out, err string
	}{
		{"check", nil, "config check --config " + good, exitOK, good + " is valid; 2 keys set", ""},
		{"check, flag first", nil, "--config " + good + " config check", exitOK, " is valid", ""},
		{"check, SLUICE_CONFIG", []string{"SLUICE_CONFIG=" + good}, "config check", exitOK, good, ""},
		{"check, flag over SLUICE_CONFIG", []string{"SLUICE_CONFIG=" + bad}, "config check --config " + good, exitOK, good, ""},
		{"check, nothing", nil, "config check", exitOK, "the default configuration is valid; 0 keys set", ""},
		{"check, bad", nil, "config check --config " + bad, exitConfig, "", bad + ":2: hostname: got "},
		{"check, warning", []string{"SLUICE_ADMIN_ADDRESS=:8025"}, "config check", exitOK, "is valid", "warning: admin.address :8025"},
		{"check, bad variable", []string{"SLUICE_X=1"}, "config check", exitConfig, "", "SLUICE_X: unknown variable"},
		{"print", nil, "config print --config " + good, exitOK, `hostname: "mx1.example.net" # ` + good + ":2", ""},
		{"print, flags", nil, "config print --listen 127.0.0.1:1 --listen [::1]:2 --data /d --admin 127.0.0.1:3", exitOK,
			`listeners: [{address: "127.0.0.1:1"}, {address: "[::1]:2"}] # --listen`, ""},
		{"version", []string{"SLUICE_X=1"}, "version", exitOK, "sluice ", ""},
		{"help", nil, "--help", exitOK, "SLUICE_LIMITS_MESSAGE_SIZE", ""},
		{"help on a command", nil, "config print --help", exitOK, "secrets redacted", ""},
		{"unknown flag", nil, "--nonsense", exitUsage, "", "unknown flag --nonsense"},
		{"unknown command", nil, "config frobnicate", exitUsage, "", "frobnicate"},
		{"missing command", nil, "config", exitUsage, "", "expected one of"},
		{"missing value", nil, "--config", exitUsage, "", "--config"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(c.env, nil, strings.Fields(c.args)...)
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			if !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.err) || c.err == "" && r.err != "" {
				t.Errorf("printed %q and %q", r.out, r.err)
			}
			if r.served != nil {
				t.Error("it served")
			}
		})
	}
}

func TestServe(t *testing.T) {
	t.Chdir(t.TempDir()) // for the certificates of those that try out TLS
	for _, args := range [][]string{{}, {"serve"}} {
		r := run(nil, nil, append(args, "--listen", "127.0.0.1:0", "--data", "elsewhere")...)
		if r.code != exitOK || r.served == nil || r.served.Listeners[0].Address != "127.0.0.1:0" || r.served.DataDir != "elsewhere" {
			t.Errorf("%q: %+v", args, r)
		}
	}
	r := run(nil, errors.New("address already in use"))
	if r.code != exitFailure || r.err != "sluice: address already in use\n" {
		t.Errorf("%+v", r)
	}
	r = run([]string{"SLUICE_LOG_FORMAT=json"}, errors.Join(errors.New("address already in use"), errors.New("and more")))
	var line struct{ Level, Msg, Err string }
	if err := json.Unmarshal([]byte(r.err), &line); err != nil || r.code != exitFailure ||
		line.Level != "ERROR" || line.Msg != "ended" || line.Err != "address already in use\nand more" {
		t.Errorf("%v: %+v", err, r)
	}
	if r = run(nil, nil, "--listen", "0.0.0.0:2525"); r.code != exitConfig || r.served != nil || !strings.Contains(r.err, "accept.any") {
		t.Errorf("any recipient from everywhere: %+v", r)
	}
}

func TestHealthcheck(t *testing.T) {
	ready := true
	server := httptest.NewServer(admin.Pages{Metrics: http.NotFoundHandler(), Ready: func() (bool, string) { return ready, "so it is" }}.Handler())
	address := server.Listener.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if r := run(nil, nil, "healthcheck", "--admin", address); r.code != exitOK || r.out != "so it is\n" {
		t.Errorf("%+v", r)
	}
	if r := run([]string{"SLUICE_ADMIN_ADDRESS=0.0.0.0:" + port, "http_proxy=http://192.0.2.1"}, nil, "healthcheck"); r.code != exitOK {
		t.Errorf("all addresses: %+v", r)
	}
	ready = false
	if r := run(nil, nil, "healthcheck", "--admin", address); r.code != exitFailure || !strings.Contains(r.err, "503") {
		t.Errorf("not ready: %+v", r)
	}
	server.Close()
	if r := run(nil, nil, "healthcheck", "--admin", address); r.code != exitFailure {
		t.Errorf("nobody there: %+v", r)
	}
	if r := run(nil, nil, "healthcheck", "--admin", "127.0.0.1:0"); r.code != exitFailure {
		t.Errorf("unknown port: %+v", r)
	}
}

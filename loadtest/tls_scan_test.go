package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/loadtest/stack"
)

// scan is what sslyze writes about a server.
type scan struct {
	Results []struct {
		Status string             `json:"scan_status"`
		Found  map[string]attempt `json:"scan_result"`
	} `json:"server_scan_results"`
}

// attempt is one of the things that sslyze tries.
type attempt struct {
	Status string         `json:"status"`
	Result map[string]any `json:"result"`
}

// scanned is what sslyze has to find, by what it tries and the name of the result.
var scanned = map[string]map[string]any{
	"--heartbleed":  {"heartbleed.is_vulnerable_to_heartbleed": false},
	"--openssl_ccs": {"openssl_ccs_injection.is_vulnerable_to_ccs_injection": false},
	"--robot":       {"robot.robot_result": "NOT_VULNERABLE_RSA_NOT_SUPPORTED"},
	"--compression": {"tls_compression.supports_compression": false},
	"--reneg": {
		"session_renegotiation.supports_secure_renegotiation":             true,
		"session_renegotiation.is_vulnerable_to_client_renegotiation_dos": false,
	},
	"--early_data": {"tls_1_3_early_data.supports_early_data": false},
	"--fallback":   {"tls_fallback_scsv.supports_fallback_scsv": true},
	"--ems":        {"tls_extended_master_secret.supports_ems_extension": true},
}

// suites are those that each version may have: none before TLS 1.2, and there those with
// forward secrecy.
var suites = map[string]string{
	"--sslv2 ssl_2_0_cipher_suites": "", "--sslv3 ssl_3_0_cipher_suites": "",
	"--tlsv1 tls_1_0_cipher_suites": "", "--tlsv1_1 tls_1_1_cipher_suites": "",
	"--tlsv1_2 tls_1_2_cipher_suites": "TLS_ECDHE_(ECDSA|RSA)_WITH_(AES_128_GCM_SHA256|AES_256_GCM_SHA384|CHACHA20_POLY1305_SHA256|AES_(128|256)_CBC_SHA)",
	"--tlsv1_3 tls_1_3_cipher_suites": "TLS_(AES_128_GCM_SHA256|AES_256_GCM_SHA384|CHACHA20_POLY1305_SHA256)",
}

// TestScanner has sslyze look for what is known to be wrong with servers, where there is a
// key of each kind, by STARTTLS and by implicit TLS.
func TestScanner(t *testing.T) {
	t.Parallel()
	needs(t, "openssl")
	sslyze, err := stack.Installed(filepath.Join("sslyze", "bin", "sslyze"))
	if err != nil {
		t.Fatal(err)
	}
	gateway := newTLSGateway(t, "")
	cert, key := filepath.Join(gateway.Dir, "rsa.pem"), filepath.Join(gateway.Dir, "rsa-key.pem")
	command(t, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
		"-days", "1", "-subj", "/CN=mx1.example.net", "-addext", "subjectAltName=DNS:mx1.example.net")
	gateway.Config += fmt.Sprintf("    - {cert_file: %q, key_file: %q}\n", cert, key)
	startGateway(t, gateway.Sluice)
	for name, way := range map[string][]string{"starttls": {"--starttls", "smtp", gateway.SMTP}, "implicit": {gateway.implicit}} {
		file := filepath.Join(t.TempDir(), name)
		args := []string{"--quiet", "--mozilla_config", "disable", "--sni", "mx1.example.net", "--json_out", file}
		for flag := range scanned {
			args = append(args, flag)
		}
		for flag := range suites {
			args = append(args, strings.Fields(flag)[0])
		}
		command(t, sslyze, append(args, way...)...)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s scan
		if err := json.Unmarshal(text, &s); err != nil || len(s.Results) != 1 || s.Results[0].Status != "COMPLETED" {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		s.judge(t, name)
	}
}

// judge compares what was found with what must be.
func (s scan) judge(t *testing.T, name string) {
	found := s.Results[0].Found
	for _, wants := range scanned {
		for path, want := range wants {
			of, key, _ := strings.Cut(path, ".")
			if got := found[of]; got.Status != "COMPLETED" || got.Result[key] != want {
				t.Errorf("%s: %s is %v (%s), want %v", name, path, got.Result[key], got.Status, want)
			}
		}
	}
	for of, pattern := range suites {
		of = strings.Fields(of)[1]
		may := regexp.MustCompile("^(" + pattern + ")$")
		list, _ := found[of].Result["accepted_cipher_suites"].([]any)
		if found[of].Status != "COMPLETED" || (len(list) > 0) != (pattern != "") {
			t.Errorf("%s: %s has %v (%s)", name, of, list, found[of].Status)
		}
		for _, suite := range list {
			shown, _ := suite.(map[string]any)["cipher_suite"].(map[string]any)["name"].(string)
			if !may.MatchString(shown) {
				t.Errorf("%s: %s has %q", name, of, shown)
			}
		}
	}
}

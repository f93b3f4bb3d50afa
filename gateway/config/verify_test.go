package config

import (
	"strings"
	"testing"
	"time"
)

// TestVerify checks what verification may be configured to do, and what is warned of.
func TestVerify(t *testing.T) {
	for _, test := range []struct{ yaml, problem, warning string }{
		{"enabled: true", "", ""},
		{"enabled: true, authserv_id: mx.example.org", "", ""},
		{"enabled: false, authserv_id: mx.example.org", "", "verify has no effect"},
		{"enabled: false, exempt_domains: [lists.example.org]", "", "verify has no effect"},
		{"enabled: false, policy: {spf_fail: reject}", "", "verify has no effect"},
		{"enabled: false}\ndns: {resolvers: [192.0.2.53]", "", "dns has no effect"},
		{"enabled: true}\ndns: {resolvers: [192.0.2.53]", "", ""},
		{"enabled: true, policy: {dmarc_reject: reject}", "", "verify.exempt_domains is empty"},
		{"enabled: true, policy: {dmarc_quarantine: reject}", "", "verify.exempt_domains is empty"},
		{"enabled: true, policy: {dmarc_reject: reject}, exempt_domains: [lists.example.org]", "", ""},
		{"enabled: true, policy: {temperror: reject}", "expected accept, quarantine or defer", ""},
		{"enabled: true, policy: {spf_fail: refuse}", "expected accept, quarantine, defer or reject", ""},
		{"enabled: true, deadline: 2m", "verify.deadline", ""},
		{"enabled: true, deadline: 10s", "", ""},
		{"enabled: true, authserv_id: \"a b\"", "verify.authserv_id", ""},
		{"enabled: true, exempt_domains: [\"*\"]", "verify.exempt_domains[0]", ""},
	} {
		c, err := loadOn(testMachine, Sources{File: file(t, "hostname: mx1.example.net\naccept: {domains: [example.net]}\nverify: {"+test.yaml+"}\n")})
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: %v", test.yaml, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.yaml, err)
			continue
		}
		var about []string
		for _, w := range c.Warnings() {
			if strings.Contains(w, "verify") {
				about = append(about, w)
			}
		}
		if got := strings.Join(about, "\n"); test.warning == "" && got != "" || !strings.Contains(got, test.warning) {
			t.Errorf("%s: warns %q", test.yaml, got)
		}
	}
	c := DefaultOn(testMachine)
	c.Verify.Enabled, c.Timeouts.Message = true, 5*time.Second
	if p := checkVerify(&c); p == nil || !strings.Contains(p.Hint, "SLUICE_VERIFY_DEADLINE=2.5s") {
		t.Errorf("a verdict may come too late: %+v", p)
	}
	if c.Verify.Deadline = c.Timeouts.Message; checkVerify(&c) == nil {
		t.Error("a verdict may come when its message is given up")
	}
}

// TestAuthservID checks who verifies: the hostname, unless a name is set.
func TestAuthservID(t *testing.T) {
	c := DefaultOn(testMachine)
	c.Hostname, c.Verify.Enabled = "mx1", true
	const unsafe = "verify.authserv_id is the hostname mx1"
	if got := strings.Join(c.verifyWarnings(), "\n"); c.AuthservID() != "mx1" || !strings.Contains(got, unsafe) {
		t.Errorf("by default %s, warns %q", c.AuthservID(), got)
	}
	c.Verify.AuthservID = "mx.example.net"
	if got := c.verifyWarnings(); c.AuthservID() != "mx.example.net" || len(got) != 0 {
		t.Errorf("set, it is %s, and warns %q", c.AuthservID(), got)
	}
}

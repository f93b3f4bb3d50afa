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
		{"enabled: true, policy: {dmarc_reject: reject}", "", "verify.exempt_domains is empty"},
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
}

package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sluice/gateway/verify"
)

// VerifyConfig is the section verify: the verification of what strangers send (SPF, DKIM,
// DMARC), and what follows from the verdicts.
type VerifyConfig struct {
	Enabled bool
	// AuthservID names whoever verifies in Authentication-Results, "" for the hostname. A
	// fleet has one.
	AuthservID string
	Deadline   time.Duration // from the final dot to the verdict
	// ExemptDomains are those of lists and forwarders, lower case, exact or *.sub: mail that
	// they have signed or sent is accepted whatever DMARC says.
	ExemptDomains []string
	Policy        verify.Policy
}

func defaultVerify() VerifyConfig {
	return VerifyConfig{Deadline: 10 * time.Second, Policy: verify.DefaultPolicy()}
}

// verifyKeys are the keys of the section verify.
var verifyKeys = []key{
	{"verify.enabled", func(c *Config) value { return boolean{&c.Verify.Enabled} },
		trueOrFalse, "true"},
	{"verify.authserv_id", func(c *Config) value { return text{&c.Verify.AuthservID, isOptionalHostname} },
		`a domain of letters, digits and hyphens, the same in the whole fleet, or "" for the hostname`, "mx.example.net"},
	{"verify.deadline", func(c *Config) value { return duration{&c.Verify.Deadline, 100 * time.Millisecond, maxVerify} },
		"a time from 100ms to 1m, less than timeouts.message", "10s"},
	{"verify.exempt_domains", func(c *Config) value { return domains{&c.Verify.ExemptDomains} },
		`a list of domains, or "*.sub" for all below sub`, `["lists.example.org"]`},
	policyKey("spf_fail", verify.Actions(), func(p *verify.Policy) *verify.Action { return &p.SPFFail }),
	policyKey("dmarc_reject", verify.Actions(), func(p *verify.Policy) *verify.Action { return &p.DMARCReject }),
	policyKey("dmarc_quarantine", verify.Actions(), func(p *verify.Policy) *verify.Action { return &p.DMARCQuarantine }),
	policyKey("bad_from", verify.Actions(), func(p *verify.Policy) *verify.Action { return &p.BadFrom }),
	policyKey("temperror", delays, func(p *verify.Policy) *verify.Action { return &p.TempError }),
}

// maxVerify is the longest deadline of a verification: its message waits in memory.
const maxVerify = time.Minute

// delays are the actions on what can still change, which is not refused for good.
var delays = []verify.Action{verify.Accept, verify.Quarantine, verify.Defer}

// policyKey returns the key of one member of verify.policy.
func policyKey(name string, of []verify.Action, at func(*verify.Policy) *verify.Action) key {
	var all []string
	for _, action := range of {
		all = append(all, string(action))
	}
	last := len(all) - 1
	return key{
		"verify.policy." + name, func(c *Config) value { return choice{(*string)(at(&c.Verify.Policy)), all, nil} },
		strings.Join(all[:last], ", ") + " or " + all[last], all[0],
	}
}

func isOptionalHostname(text string) bool { return text == "" || isHostname(text) }

// AuthservID returns who verifies, as Authentication-Results names it.
func (c *Config) AuthservID() string {
	if c.Verify.AuthservID != "" {
		return c.Verify.AuthservID
	}
	return c.Hostname
}

// checkVerify requires that a verdict comes before the message is given up.
func checkVerify(c *Config) *Problem {
	if !c.Verify.Enabled || c.Verify.Deadline < c.Timeouts.Message {
		return nil
	}
	return c.conflict("verify.deadline", "less than timeouts.message, which is "+ShortDuration(c.Timeouts.Message),
		"set e.g. "+c.Setting("verify.deadline", ShortDuration(c.Timeouts.Message/2)))
}

// verifyWarnings returns settings of verification that are allowed but risky.
func (c *Config) verifyWarnings() (all []string) {
	v := &c.Verify
	if !v.Enabled {
		if len(c.DNS.Resolvers) > 0 {
			all = append(all, "dns has no effect: verify.enabled is false")
		}
		if len(v.ExemptDomains) > 0 || v.AuthservID != "" || v.Policy != defaultVerify().Policy {
			all = append(all, "verify has no effect: verify.enabled is false")
		}
		return all
	}
	if refuses := []verify.Action{v.Policy.DMARCReject, v.Policy.DMARCQuarantine}; slices.Contains(refuses, verify.Reject) && len(v.ExemptDomains) == 0 {
		all = append(all, "verify.policy refuses mail that fails DMARC, and verify.exempt_domains is empty: mail of lists and forwarders bounces (RFC 9989 §7.4)")
	}
	if v.AuthservID == "" && !strings.Contains(c.Hostname, ".") {
		all = append(all, fmt.Sprintf("verify.authserv_id is the hostname %s, which is not fully qualified: others may claim it", c.Hostname))
	}
	return all
}

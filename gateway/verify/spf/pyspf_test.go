package spf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sluice/gateway/verify/spf"
	"sluice/internal/testkit"
	"sluice/loadtest/stack"
)

// claim is a generated case.
type claim struct {
	Records map[string][]string `json:"records"`
	Broken  map[string]bool     `json:"broken"`
	IP      string              `json:"ip"`
	HELO    string              `json:"helo"`
	From    string              `json:"from"`
}

// pieces of records, most of them well formed. Left out is what pyspf 2.0.14 judges wrongly:
// it accepts "exists" without a domain, %{d0}, %{dr2} and %{d;}, and refuses an unknown
// modifier that stands there twice and a record that includes itself behind a match
// (RFC 7208 §5.7, §7.1, §6, §4.6.4).
var (
	mechanisms = []string{
		"a", "mx", "a:%s", "mx:%s", "a:%s/24", "a:%s//64", "mx/24//64", "a/0", "include:%s", "include:%s", "include:%s",
		"ip4:192.0.2.0/24", "ip4:192.0.2.3", "ip4:198.51.100.7/8", "ip4:0.0.0.0/0", "ip6:2001:db8::/32", "ip6:::/0", "ip6:2001:db8::3",
		"exists:%s", "exists:%%{i}.%s", "exists:%%{ir}.%%{v}.%s", "exists:%%{l}.%%{d2}", "exists:%%{l1r-}.%%{o}", "exists:%%{h}",
		"exists:%%{S}.%s", "exists:%%{d1r}.%s", "all", "all", "A:%s", "IP4:192.0.2.3", "x=%%{d}", "redirect=%s", "redirect=%s",
	}
	broken = []string{
		"foo", "a:", "a/33", "a//129", "a/024", "a:%s/", "include", "include:", "include:test", "ip4:1.2.3", "ip4:1.2.3.4/33",
		"ip4:1.2.3.04", "ip6:::1/129", "ip6:1.2.3.4", "ip4:::1", "all:", "all/8", "exists:%%{x}.%s",
		"exists:%%{i", "exists:%%.%s", "exists:a.%%", "redirect=", "--all", "a:a.123", "a:a.te_st", "a:test", "ip4", "ptr/8", "exists:%%{t}.%s",
		"x=%%q", "a:a.-b", "=a", "-",
	}
	ips = []string{"192.0.2.3", "192.0.2.77", "198.51.100.7", "2001:db8::3", "2001:db8:1::3"}
)

// newClaim returns a claim about d0.test, in a zone of a few domains that name each other.
func newClaim(r *rand.Rand) claim {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	name := func() string { return fmt.Sprintf("d%d.test", r.IntN(6)) }
	c := claim{
		Records: map[string][]string{}, Broken: map[string]bool{}, IP: pick(ips), HELO: name(),
		From: pick([]string{"user", "a-b", "x.y"}) + "@d0.test",
	}
	for i := range 6 {
		own := fmt.Sprintf("d%d.test", i)
		record := "v=spf1"
		for range r.IntN(5) {
			term := pick(mechanisms)
			if r.IntN(40) == 0 {
				term = pick(broken)
			}
			if strings.Contains(term, "%s") {
				other := name()
				for strings.HasPrefix(term, "include") && other == own {
					other = name()
				}
				term = fmt.Sprintf(term, other)
			} else {
				term = strings.ReplaceAll(term, "%%", "%")
			}
			if strings.HasPrefix(term, "x=") && strings.Contains(record, " x=") {
				continue
			}
			if !strings.Contains(term, "=") {
				term = pick([]string{"", "", "+", "-", "~", "?"}) + term
			}
			record += pick([]string{" ", " ", "  "}) + term
		}
		switch r.IntN(20) {
		case 0:
		case 1:
			c.Records[own+" TXT"] = []string{record, record}
		default:
			c.Records[own+" TXT"] = []string{"other", record}
		}
		if r.IntN(4) > 0 {
			c.Records[own+" A"] = []string{"192.0.2.77"}
			c.Records[own+" AAAA"] = []string{"2001:db8::77"}
			c.Records[own+" MX"] = []string{name()}
		}
		if r.IntN(25) == 0 {
			c.Broken[own+" "+pick([]string{"TXT", "A", "AAAA", "MX"})] = true
		}
	}
	return c
}

// lookingUp matches a mechanism that counts (RFC 7208 §4.6.4).
var lookingUp = regexp.MustCompile(`(?i)^[-+?~]?(a|mx|exists|include)(:|/|$)`)

// countedByPyspf returns how many terms pyspf counts for a step. It counts the redirect of
// each record, which is none that looks up before no mechanism has matched (RFC 7208 §6.1).
func (c claim) countedByPyspf(s spf.Step) int {
	switch {
	case lookingUp.MatchString(s.Term):
		return 1
	case s.Term == "":
		return strings.Count(strings.Join(c.Records[s.Domain+" TXT"], " "), " redirect=")
	}
	return 0
}

// The verdicts are those of pyspf, but where that is wrong.
func TestPyspf(t *testing.T) {
	if testing.Short() {
		t.Skip("needs pyspf")
	}
	python, err := stack.Installed("pyspf/bin/python")
	if err != nil {
		testkit.Missing(t, err.Error())
	}
	const n = 2000
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	claims := make([]claim, n)
	var in bytes.Buffer
	for i := range claims {
		claims[i] = newClaim(r)
		if err := json.NewEncoder(&in).Encode(claims[i]); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/pyspf.py")
	var complaints bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	results := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(results) != n {
		t.Fatalf("%d results", len(results))
	}
	seen, different := map[spf.Result]int{}, 0
	for i, c := range claims {
		z := &zone{records: c.Records, broken: c.Broken}
		counted := 0
		got := spf.Check(t.Context(), z, spf.Query{Client: netip.MustParseAddr(c.IP), HELO: c.HELO, Sender: c.From, Trace: func(s spf.Step) {
			counted += c.countedByPyspf(s)
		}})
		seen[got.Result]++
		if string(got.Result) == results[i] || results[i] == "permerror" && counted > 10 {
			continue
		}
		if different++; different <= 10 {
			text, _ := json.MarshalIndent(c, "", " ")
			t.Errorf("seed %d: %s (%s, %s), pyspf: %s\n%s", seed, got.Result, got.Mechanism, got.Reason, results[i], text)
		}
	}
	t.Logf("%d of %d differ; results %v", different, n, seen)
}

package verify_test

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/gateway/verify"
	"sluice/internal/testkit"
)

// TestHostileHeadersCostLittle compares what a header that is made to cost much takes with
// a hash of its bytes. The log has the figures; the bound finds work that is not linear, on
// a machine that does other things and under the race detector.
func TestHostileHeadersCostLittle(t *testing.T) {
	fill := func(text string) string { return strings.Repeat(text, hostileSize/len(text)) }
	const ar = "Authentication-Results:"
	o := options()
	for name, header := range map[string]string{
		"forged":        fill(ar + "mx.example.net;\r\n"),
		"short":         fill(ar + "\r\n"),
		"other letters": fill(ar + "é.ü;\r\n"),
		"long letters":  fill(ar + strings.Repeat("é", 100) + "." + strings.Repeat("ü", 100) + ";\r\n"),
		"one identity":  ar + fill("é"),
		"words":         ar + fill("x "),
		"comments":      ar + fill("(("),
		"quotes":        ar + fill(`"\"`),
		"folds":         ar + fill("x\r\n "),
		"bare CR":       fill(ar + "x\r"),
		"From":          fill("From: a@example.com\r\n"),
		"From, bare":    "From: a@example.com" + fill("\rfrom "),
		"addresses":     "From: " + fill("a@example.com,"),
		"other domains": "From: " + fill("a@é.ü,"),
		"empty places":  "From: " + fill(","),
		"nested":        "From: " + fill("(") + "a@example.com",
		"groups":        "From: " + fill("a:;"),
		"dots":          "From: a" + fill(".a") + "@example.com",
		"labels":        "From: a@a" + fill(".a"),
		"routes":        "From: <" + fill("@a,") + ":a@example.com>",
		"encoded":       "From: " + fill("=?a?b?c?= ") + "<a@example.com>",
	} {
		text := []byte(header + "\r\n\r\n")
		judge := func() {
			e := verify.Begin(&o, verify.Claim{Client: netip.MustParseAddr(good), Now: now, DNS: worldZone()})
			e.Header([][]byte{text}, false)
			e.Names()
		}
		best, bare := time.Hour, time.Hour
		for range 2 {
			best = min(best, testkit.CPU(t, 4, judge))
			bare = min(bare, testkit.CPU(t, 4, func() { sha256.Sum256(text) }))
		}
		if best > 300*bare && best > 10*time.Millisecond {
			t.Errorf("%s costs %v, a hash %v", name, best, bare)
		}
		t.Logf("%-14s %7d bytes %10v, sha256 %10v: %.1f times", name, len(text), best, bare, float64(best)/float64(bare))
	}
}

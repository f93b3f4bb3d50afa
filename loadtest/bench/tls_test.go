package bench

import (
	"strings"
	"testing"
)

// TestTLSReport judges by the median of the rounds' ratios, and Postfix by nothing.
func TestTLSReport(t *testing.T) {
	r := &TLSReport{}
	add := func(what, server string, values ...float64) { r.row(what, server).Values = values }
	add(tlsBulk, sluice, 300, 150, 300)
	add(tlsBulk, GoSMTP, 100, 50, 310)
	add(tlsBulk, postfix, 155)
	add(tlsHandshake, sluice, 120, 120, 120)
	add(tlsHandshake, GoSMTP, 100, 110, 100)
	add(tlsIdle, sluice, 12_001)
	add(tlsIdle, GoSMTP, 24_002)
	add(tlsIdleAfter, sluice, 61)
	add(tlsIdleAfter, GoSMTP, 100)
	add(tlsNoop, sluice, 57.12)
	add(tlsNoop, GoSMTP, 57.12)
	r.BulkProfile = []Share{{"TLS records", 0.7, 0.1}, {otherOwner, 0, 0}}
	r.conclude()
	r.conclude()
	var text strings.Builder
	r.markdown(&text)
	for _, want := range []string{
		"| " + tlsBulk + " | 300 (150–300) | 100 (50–310) | 3.00x (0.97–3.00) | 155 (155–155) |",
		"| " + tlsNoop + " | 57.1 (57.1–57.1) | 57.1 (57.1–57.1) | 1.00x (1.00–1.00) | – |",
		"| " + tlsBulk + " ≥ 1x | 3 | met |",
		"| " + tlsHandshake + " ≤ 1.15x | 1.2 | not met |",
		"| " + tlsIdle + " ≤ 12000 | 12001 | not met |",
		"| " + tlsIdle + " ≤ 0.55x | 0.5 | met |",
		"| " + tlsIdleAfter + " ≤ 0.6x | 0.61 | not met |",
		"| " + tlsNoop + " ≤ 1x | 1 | met |",
		"CPU time, DATA | share | of it in the kernel |\n|---|---:|---:|\n| TLS records | 70 % | 10 % |\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), otherOwner+" |") || len(r.Targets) != 6 {
		t.Errorf("%d targets\n%s", len(r.Targets), &text)
	}
}

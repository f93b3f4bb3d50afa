package bench

import (
	"strings"
	"testing"
)

// TestVerifyReport compares with verification off, round by round.
func TestVerifyReport(t *testing.T) {
	r := &VerifyReport{SmallProfile: []Share{{"RSA and Ed25519", 0.3, 0}, {otherOwner, 0, 0}}}
	r.row(verifyCPU, verifyOff).Values = []float64{0.5, 1, 0.5}
	r.row(verifyCPU, verifyOn).Values = []float64{1, 2, 1.5}
	r.row(verifyP50, verifyCold).Values = []float64{3}
	var text strings.Builder
	r.markdown(&text)
	for _, want := range []string{
		"| " + verifyCPU + " | 0.50 (0.50–1.00) | 1.50 (1.00–2.00) | 2.00x (2.00–3.00) | – | – |",
		"| " + verifyP50 + " | – | – | – | 3.00 (3.00–3.00) | – |",
		"CPU time, small messages | share | of it in the kernel |\n|---|---:|---:|\n| RSA and Ed25519 | 30 % | 0 % |\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

package spf_test

import (
	"strings"
	"testing"

	"sluice/gateway/verify/spf"
)

// What an evaluation costs beside its lookups: of a usual record that includes another, and
// of the most text that is parsed.
func BenchmarkCheck(b *testing.B) {
	for name, z := range map[string]*zone{
		"usual": newZone("d.test TXT v=spf1 include:i.test ip4:198.51.100.0/24 -all\ni.test TXT v=spf1 ip4:203.0.113.0/24 a:a.test ip4:192.0.2.0/24 ~all\na.test A 192.0.2.77"),
		"most":  newZone("d.test TXT v=spf1" + strings.Repeat(" ip4:1.1.1.1", 5400) + " -all"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				spf.Check(b.Context(), z, vector{}.claim())
				z.asked = z.asked[:0]
			}
		})
	}
}

package bench

import (
	"strings"
	"testing"
)

func TestLatency(t *testing.T) {
	var times []float64
	for i := range 1000 {
		times = append(times, float64(999-i))
	}
	if got := latencyOf(times); got != (Latency{500, 990}) {
		t.Errorf("%+v", got)
	}
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("%+v", got)
	}
}

// TestMixedSizes: the same sizes each time, and the large ones apart.
func TestMixedSizes(t *testing.T) {
	large := 0
	for n := 1; n <= 10_000; n++ {
		size, small := mixed(n), smallMixed(n)
		switch {
		case size != mixed(n):
			t.Fatal("another size the second time")
		case small < smallestMixed || small >= largeFrom:
			t.Fatalf("small: %d", small)
		case n%largeOneIn != 0 && size != small:
			t.Fatalf("message %d: %d with the large, %d without", n, size, small)
		case size >= largeFrom:
			if large++; size < largeMixed || size >= largestMixed {
				t.Fatalf("large: %d", size)
			}
		}
	}
	if large != 100 {
		t.Errorf("%d large of 10,000", large)
	}
}

func TestPacksReport(t *testing.T) {
	r := &PacksReport{Size: 10240}
	add := func(what string, sessions int, rate, cpu, p50, p99 float64) {
		row := r.row(what, sessions)
		row.Samples = append(row.Samples, PacksSample{Sample{Rate: rate, CPU10k: cpu}, Latency{p50, p99}})
	}
	for range 2 {
		add(packed, 500, 8000, 1, 50, 100)
		add(unpacked, 500, 1000, 4, 500, 1000)
		add(packed, 50, 4000, 1, 10, 20)
		add(unpacked, 50, 1000, 4, 40, 30)
		add(packed, 1, 100, 6, 7.4, 10)
		add(unpacked, 1, 100, 6, 7, 10)
		add(postfix, 50, 900, 0, 0, 0)
		add(postfix, 500, 2500, 0, 0, 0)
		add(mixedPaced, 50, 0, 0, 10, 30)
		add(mixedFull, 50, 0, 0, 10, 50)
		add(mixedPacedSame, 50, 0, 0, 10, 20)
		add(mixedFullSmall, 50, 0, 0, 10, 20)
		add(rawPrefix+mixedPaced, 50, 0, 0, 2, 12)
		add(rawPrefix+mixedPacedSame, 50, 0, 0, 2, 4)
	}
	r.conclude()
	var text strings.Builder
	r.markdown(&text)
	for _, want := range []string{
		"| packed | 500 | 8000 (8000–8000) | 1.00 (1.00–1.00) | 50.0 (50.0–50.0) | 100.0 (100.0–100.0) |",
		"| postfix | 50 | 900 (900–900) | – | – | – |",
		"| messages/s at 500 sessions, to packing off ≥ 8.00x | 8.00x | met |",
		"| CPU per message at 500 sessions, to packing off ≤ 0.30x | 0.25x | met |",
		"| p50 at one session, to packing off ≤ 1.05x | 1.06x | not met |",
		"| messages/s at 50 sessions, to Postfix ≥ 4.00x | 4.44x | met |",
		"| messages/s at 500 sessions, to Postfix ≥ 4.00x | 3.20x | not met |",
		"to that without them, paced ≤ 2.00x | 1.50x | met |",
		"| the same, to what the bare client's PUTs have ≤ 1.00x | 0.50x | met |",
		"| p99 of small messages beside large ones, as fast as the answers come ≤ 2.00x | 2.50x | not met |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
}

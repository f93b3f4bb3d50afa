package config

import (
	"math"
	"testing"
)

func TestSizesAndShares(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "1": 1, "1024": KiB, "64KiB": 64 * KiB, "50MiB": 50 * MiB, "2GiB": 2 * GiB, "9223372036854775807": math.MaxInt64} {
		got, ok := parseSize(text)
		if !ok || got != want {
			t.Errorf("%s is %d, %v", text, got, ok)
		}
		if again, ok := parseSize(got.String()); !ok || again != got {
			t.Errorf("%s is printed as %s", text, got)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5MiB", "50MB", "50 MiB", "MiB", "8589934592GiB", "9223372036854775808", "1e3", "1kib"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%q was accepted as %d", text, got)
		}
	}
	for _, text := range []string{"%", "0%", "-1%", "99999999999%", "1.5%", "x"} {
		if got, ok := parseShare(text); ok {
			t.Errorf("%q was accepted as %v", text, got)
		}
	}
	if got := (Share{Percent: 75}).of(math.MaxInt64); got < 0 {
		t.Errorf("75%% of the largest memory is %d", got)
	}
}

package bench

import (
	"strings"
	"testing"
)

// In each round another library is the slower one: Sluice is held against that.
func TestFleetIsComparedWithTheSlowerOfTheRound(t *testing.T) {
	r := newFleetReport(FleetPlan{Load: Load{Sessions: 50}, Large: LargeLoad{Size: 1e6}})
	r.row(rawPut).Samples = []Sample{{Rate: 100}, {Rate: 400}}
	r.row(rawProduce).Samples = []Sample{{Rate: 200}, {Rate: 200}}
	r.row(Fleet).Samples = []Sample{{Rate: 90}, {Rate: 180}}
	r.row(rawLarge).Samples = []Sample{{Rate: 10}, {Rate: 10}, {Rate: 10}}
	r.row(rawStream).Samples = []Sample{{Rate: 9}, {Rate: 12}, {Rate: 8}}
	r.row(fleetLarge).Samples = []Sample{{Rate: 9, Store10k: 20}, {Rate: 6, Store10k: 40}, {Rate: 7, Store10k: 30}}
	text := (&Report{Fleet: r}).Markdown()
	for _, want := range []string{
		"| minio-go, PUT | 250.0 (100.0–400.0) | – | – | – | – | – | – |  |",
		"| 135.0 (90.0–180.0) | – | 0.90x (0.90–0.90) | – | – | – | – | messages/s ≥ 0.80x: met |",
		"| 7.0 (6.0–9.0) | 7.0 (6.0–9.0) | 0.70x (0.60–0.90) | 0.88x (0.50–1.00) | – | – | 3.00 | MB/s ≥ 0.80x: not met |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestProfileIsSplitByOwner(t *testing.T) {
	shares, err := split([]byte(`
  1 [unknown] ([kernel.kallsyms])
  2 net/http.(*persistConn).writeLoop (sluice)

  3 crypto/sha256.block (sluice)
  4 sluice/pipeline/s3.(*worker).put (sluice)

  5 runtime.scanobject (sluice)
  6 runtime.gcBgMarkWorker (sluice)

  7 main.main (sluice)
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shares {
		want := Share{Of: s.Of}
		switch {
		case strings.HasPrefix(s.Of, "HTTP"):
			want.All, want.Kernel = 0.25, 0.25
		case strings.HasPrefix(s.Of, "hashing"), strings.HasPrefix(s.Of, "garbage"), s.Of == otherOwner:
			want.All = 0.25
		}
		if s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
	if _, err := split(nil); err == nil {
		t.Error("a profile without samples is none")
	}
}

func TestLargeContentHasItsSizeAndNoDots(t *testing.T) {
	for _, size := range []int{1000, 65536} {
		content := string(LargeContent(size))
		if len(content) != size || !strings.HasSuffix(content, "\r\n") || strings.Contains(content, "\n.") {
			t.Errorf("%d octets: has %d", size, len(content))
		}
	}
}

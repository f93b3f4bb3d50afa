package stress

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sluice/loadtest/process"
)

// gatewayBinary is built without the race detector, whose memory is not Sluice's.
var gatewayBinary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "sluice-stress-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatewayBinary = filepath.Join(dir, "sluice")
	if !testing.Short() {
		if err := process.Build(context.Background(), gatewayBinary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// The short form of each scenario. Those that compare speeds run alone, the others
// two at a time.
func TestShort(t *testing.T) {
	if testing.Short() {
		t.Skip("end to end")
	}
	for _, s := range Short() {
		t.Run(fmt.Sprintf("%T", s), func(t *testing.T) {
			switch s.(type) {
			case IdleSessions, Slowloris, RecordFloods:
			default:
				t.Parallel()
			}
			row, err := s.Run(t.Context(), &Env{Binary: gatewayBinary, Scratch: t.TempDir(), Progress: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(row)
			if !row.Held() {
				t.Error("a promise was broken")
			}
		})
	}
}

func TestRowTellsWhatDidNotHold(t *testing.T) {
	r := &Row{Scenario: "one"}
	r.atMost("octets", 3, 3)
	r.all("each", 2, 2)
	if !r.Held() {
		t.Error(r)
	}
	r.atLeast("rate", 0.8, 0.9)
	if r.Held() || r.String() != "| one | octets ≤ 3; each; rate ≥ 0.9 | octets ≤ 3: 3; each: 2 of 2; **rate ≥ 0.9: 0.8** | NOT HELD |" {
		t.Error(r)
	}
}

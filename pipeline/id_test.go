package pipeline_test

import (
	"bytes"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"sluice/pipeline"
)

// fixed is a Random that is none.
type fixed uint64

func (f fixed) Uint64() uint64 { return uint64(f) }

// TestIDShape compares with a UUID library: version, variant, time.
func TestIDShape(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		now := time.UnixMilli(random.Int64N(1 << 42))
		id := pipeline.NewID(now, random)
		u, err := uuid.Parse(id.String())
		if err != nil {
			t.Fatal(err)
		}
		if u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Errorf("%s: version %d, variant %s", id, u.Version(), u.Variant())
		}
		if u != uuid.UUID(id) {
			t.Errorf("%s reads as %s", id, u)
		}
		if !id.Time().Equal(now) || id.Time().Location() != time.UTC {
			t.Errorf("%s: time %s, want %s", id, id.Time(), now)
		}
		back, err := pipeline.ParseID(id.String())
		if err != nil || back != id {
			t.Errorf("%s came back as %s, %v", id, back, err)
		}
	}
}

// TestIDRandomBits shows that all 74 bits that may be random are.
func TestIDRandomBits(t *testing.T) {
	now := time.UnixMilli(0)
	zeros, ones := pipeline.NewID(now, fixed(0)), pipeline.NewID(now, fixed(math.MaxUint64))
	different := 0
	for i := range zeros {
		different += bits.OnesCount8(zeros[i] ^ ones[i])
	}
	if different != 74 {
		t.Errorf("%d bits are random", different)
	}
}

// TestIDOrder shows that ids sort by time, as bytes and as text.
func TestIDOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	began := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	var ids []pipeline.ID
	for i := range 2000 {
		ids = append(ids, pipeline.NewID(began.Add(time.Duration(i)*time.Millisecond), random))
	}
	if !slices.IsSortedFunc(ids, func(a, b pipeline.ID) int { return bytes.Compare(a[:], b[:]) }) {
		t.Error("the bytes are not in order")
	}
	if !slices.IsSortedFunc(ids, func(a, b pipeline.ID) int { return strings.Compare(a.String(), b.String()) }) {
		t.Error("the texts are not in order")
	}
}

func TestParseIDRefuses(t *testing.T) {
	good := pipeline.NewID(time.UnixMilli(1), fixed(1)).String()
	for _, s := range []string{
		"", good[1:], good + "0", strings.ReplaceAll(good, "-", ""), "{" + good[1:35] + "}",
		strings.Replace(good, "-", "0", 1), "g" + good[1:], good[:8] + "-" + good[8:35],
	} {
		if id, err := pipeline.ParseID(s); err == nil {
			t.Errorf("%q was read as %s", s, id)
		}
	}
}

func TestKey(t *testing.T) {
	local := time.FixedZone("UTC+5", 5*3600)
	id := pipeline.NewID(time.Date(2026, 1, 1, 3, 30, 0, 0, local), fixed(0))
	want := "2025/12/31/22/" + id.String() + ".eml"
	if got := string(pipeline.AppendKey([]byte("x"), id)); got != "x"+want {
		t.Errorf("key %s, want x%s", got, want)
	}
}

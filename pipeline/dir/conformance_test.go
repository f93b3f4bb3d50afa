package dir

import (
	"sync"
	"testing"

	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// stallingFS is the real file system, except that Create can be made to wait.
type stallingFS struct {
	osFileSystem
	gate sync.RWMutex
}

func (s *stallingFS) Create(name string) (file, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.osFileSystem.Create(name)
}

func TestConformance(t *testing.T) {
	t.Run("packing off", func(t *testing.T) { conformance(t, nil) })
	t.Run("packing on", func(t *testing.T) { conformance(t, smallPacks()) })
}

// smallPacks returns limits that a flood of the suite exceeds.
func smallPacks() *pack.Options { return &pack.Options{Limits: pack.Limits{Messages: 64}} }

func conformance(t *testing.T, packs *pack.Options) {
	porttest.ObjectStore(t, func(t *testing.T) porttest.StoreUnderTest {
		calls := &stallingFS{}
		s, err := open(Options{Path: t.TempDir(), Queue: 500, Pack: packs}, calls)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if depth := s.Depth(); depth != 0 {
				t.Errorf("depth %d after Close", depth)
			}
		})
		return porttest.StoreUnderTest{
			Store: s,
			Open:  s.Open,
			Close: s.Close,
			Packs: packs != nil,
			Stall: func() func() {
				calls.gate.Lock()
				return calls.gate.Unlock
			},
		}
	})
}

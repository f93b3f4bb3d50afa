package s3

import (
	"testing"

	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// open opens a store on a new bucket of the server for the suites.
func (s *server) open(t *testing.T, packs *pack.Options) porttest.PartStoreUnderTest {
	network := newValve()
	o := s.options(t)
	o.dial, o.Queue, o.Pack = network.dial, 500, packs
	store := mustOpen(t, o)
	return porttest.PartStoreUnderTest{
		StoreUnderTest: porttest.StoreUnderTest{
			Store: store,
			Open:  store.Open,
			Close: store.Close,
			Stall: network.halt,
			Packs: packs != nil,
		},
		Parts:   store,
		Pending: store.pending,
		Break:   network.cut,
	}
}

// smallPacks returns limits that a flood of the suite exceeds.
func smallPacks() *pack.Options { return &pack.Options{Limits: pack.Limits{Messages: 64}} }

// TestConformance runs the suite of stores for each server, with packing and without.
// Parts never share an object, and packing only bounds how many are in flight: their
// suite runs for each server and for each setting once.
func TestConformance(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for name, packs := range map[string]*pack.Options{"packing off": nil, "packing on": smallPacks()} {
				t.Run(name, func(t *testing.T) {
					open := func(t *testing.T) porttest.PartStoreUnderTest { return s.open(t, packs) }
					porttest.ObjectStore(t, func(t *testing.T) porttest.StoreUnderTest { return open(t).StoreUnderTest })
					if (packs != nil) == (s == minioServer) {
						porttest.PartStore(t, open)
					}
				})
			}
		})
	}
}

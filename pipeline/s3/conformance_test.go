package s3

import (
	"testing"

	"sluice/pipeline/porttest"
)

// open gives a store on a new bucket of the server for the suites.
func (s *server) open(t *testing.T) porttest.PartStoreUnderTest {
	network := newValve()
	o := s.options(t)
	o.dial, o.Queue = network.dial, 500
	store := mustOpen(t, o)
	return porttest.PartStoreUnderTest{
		StoreUnderTest: porttest.StoreUnderTest{
			Store: store,
			Open:  store.Open,
			Close: store.Close,
			Stall: network.halt,
		},
		Parts:   store,
		Pending: store.pending,
		Break:   network.cut,
	}
}

func TestConformance(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			porttest.ObjectStore(t, func(t *testing.T) porttest.StoreUnderTest { return s.open(t).StoreUnderTest })
			porttest.PartStore(t, s.open)
		})
	}
}

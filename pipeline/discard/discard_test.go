package discard_test

import (
	"testing"

	"sluice/pipeline/discard"
	"sluice/pipeline/porttest"
)

func TestObjectStore(t *testing.T) {
	porttest.ObjectStore(t, func(*testing.T) porttest.StoreUnderTest {
		return porttest.StoreUnderTest{Store: discard.Store{}}
	})
}

func TestEventLog(t *testing.T) {
	porttest.EventLog(t, func(*testing.T) porttest.LogUnderTest {
		return porttest.LogUnderTest{Log: discard.Log{}}
	})
}

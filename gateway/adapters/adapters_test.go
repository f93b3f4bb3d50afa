package adapters

import (
	"maps"
	"slices"
	"testing"

	"sluice/gateway/config"
)

// TestEveryKindHasAnAdapter: what the configuration may name can be opened and, if it is
// a store, read, and nothing else can.
func TestEveryKindHasAnAdapter(t *testing.T) {
	for _, table := range []struct {
		name        string
		kinds, open []string
	}{
		{"stores", config.StoreKinds(), slices.Collect(maps.Keys(stores))},
		{"readers", config.StoreKinds(), slices.Collect(maps.Keys(sources))},
		{"logs", config.EventKinds(), slices.Collect(maps.Keys(logs))},
	} {
		slices.Sort(table.kinds)
		slices.Sort(table.open)
		if !slices.Equal(table.kinds, table.open) {
			t.Errorf("%s (adapters.go, reader.go): the configuration names %v, and %v have an adapter", table.name, table.kinds, table.open)
		}
	}
}

// TestKindsFitTheBoundOfEvents: the bound of an event's size (pipeline/bound.go) counts
// with the longest name of a store.
func TestKindsFitTheBoundOfEvents(t *testing.T) {
	for _, name := range config.StoreKinds() {
		if len(name) > len(config.KindDiscard) {
			t.Errorf("store.kind %s is longer than what pipeline/bound.go counts with", name)
		}
	}
}

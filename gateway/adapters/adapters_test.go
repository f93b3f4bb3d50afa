package adapters

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/gateway/config"
	"sluice/gateway/maillog"
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
		{"databases of the index", config.IndexStores(), slices.Collect(maps.Keys(databases))},
	} {
		slices.Sort(table.kinds)
		slices.Sort(table.open)
		if !slices.Equal(table.kinds, table.open) {
			t.Errorf("%s (adapters.go, reader.go): the configuration names %v, and %v have an adapter", table.name, table.kinds, table.open)
		}
	}
}

// TestErrorsNameTheirKeys: what cannot be opened because of a folder or an address is
// told with the keys that set them.
func TestErrorsNameTheirKeys(t *testing.T) {
	c, err := config.Load(config.Sources{}, config.ForServe)
	if err != nil {
		t.Fatal(err)
	}
	c.DataDir = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := Deps{MailLog: maillog.New(maillog.Options{}, io.Discard)}
	defer d.MailLog.Close()
	if _, err = OpenStore(&c, d); err == nil || !strings.Contains(err.Error(), "(data_dir)") {
		t.Errorf("store: %v", err)
	}
	if _, err = OpenLog(&c, d); err == nil || !strings.Contains(err.Error(), "(events.embedded.address, data_dir)") {
		t.Errorf("log: %v", err)
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

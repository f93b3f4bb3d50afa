package config

import (
	"slices"
	"strings"
	"testing"
)

// TestWhereTheIndexIs: those who try Sluice out have an index, and whoever configures a
// fleet has the one that is asked for.
func TestWhereTheIndexIs(t *testing.T) {
	kafka := []string{"SLUICE_EVENTS_KIND=kafka"}
	postgres := "SLUICE_INDEX_POSTGRES_URL=postgres://u:p@db.example.net/mail"
	for _, c := range []struct {
		name, file    string
		env           []string
		store         string
		itself        bool
		warning, path string
	}{
		{"nothing", "", nil, IndexSQLite, true, "", "sluice-data/index/index.db"},
		{"a folder", "", []string{"SLUICE_DATA_DIR=/data"}, IndexSQLite, true, "", "/data/index/index.db"},
		{"a path", "", []string{"SLUICE_INDEX_SQLITE_PATH=/i/x.db"}, IndexSQLite, true, "", "/i/x.db"},
		{"off", "", []string{"SLUICE_INDEX_STORE=off"}, IndexOff, false, "", ""},
		{"a cluster", "", kafka, IndexOff, false, "", ""},
		{"a cluster, chosen", "", append(kafka, "SLUICE_INDEX_STORE=sqlite"), IndexSQLite, false, "more than one sluice index", ""},
		{"a cluster and a server", "", append(kafka, "SLUICE_INDEX_STORE=postgres", postgres), IndexPostgres, false, "", ""},
		{"a server", "", []string{"SLUICE_INDEX_STORE=postgres", postgres}, IndexPostgres, true, "", ""},
		{"a file", "accept: {any: true}\n", nil, IndexOff, false, "", ""},
		{"a file that says so", "accept: {any: true}\nindex: {store: sqlite}\n", nil, IndexSQLite, true, "", ""},
		{"a group that is asked about", "", []string{"SLUICE_PRESSURE_LAG_GROUPS=spam,indexer"}, IndexSQLite, true, "", ""},
		{"another group", "", []string{"SLUICE_PRESSURE_LAG_GROUPS=spam"}, IndexSQLite, true, "indexer is not in pressure.lag.groups", ""},
		{"a file without it", "accept: {any: true}\nindex: {batch: 5}\n", nil, IndexOff, false, "index has no effect", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := Sources{Env: c.env}
			if c.file != "" {
				from.File = file(t, c.file)
			}
			got, err := loadOn(testMachine, from)
			if err != nil {
				t.Fatal(err)
			}
			if got.Index.Store != c.store || got.Indexes() != (c.store != IndexOff) || got.IndexesItself() != c.itself {
				t.Errorf("%s, %v, %v", got.Index.Store, got.Indexes(), got.IndexesItself())
			}
			if c.path != "" && got.IndexPath() != c.path {
				t.Errorf("path %s", got.IndexPath())
			}
			about := slices.DeleteFunc(got.Warnings(), func(w string) bool { return !strings.Contains(w, "index") })
			if text := strings.Join(about, "\n"); (c.warning == "") != (text == "") || !strings.Contains(text, c.warning) {
				t.Errorf("warnings %q", text)
			}
		})
	}
}

// TestWhatTheIndexKeeps: text is no field of a row, but is left out in the same way.
func TestWhatTheIndexKeeps(t *testing.T) {
	c := defaultIndex()
	if len(c.Excludes()) > 0 || c.TextBytes() != 4096 {
		t.Errorf("%v, %d", c.Excludes(), c.TextBytes())
	}
	c.Fields.Exclude = []string{"subject", "text", "names"}
	if !slices.Equal(c.Excludes(), []string{"subject", "names"}) || c.TextBytes() != 0 {
		t.Errorf("%v, %d", c.Excludes(), c.TextBytes())
	}
}

// TestEventsLine: a process that only reads the embedded log says where that is.
func TestEventsLine(t *testing.T) {
	c := DefaultConfig()
	if got := c.EventsLine(""); !strings.HasPrefix(got, c.Events.Embedded.Address+" ") {
		t.Error(got)
	}
}

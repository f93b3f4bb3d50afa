package config

import (
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/index"
)

// IndexConfig is the section index: where it is kept what mail there is, so that it can be
// found, and what of it.
type IndexConfig struct {
	Store   string // the name of a database, or off
	Group   string // the consumer group of those that fill it
	Batch   int    // the most events of one transaction
	Workers int    // messages that are read at a time, 0 for the number of processors
	Text    Size   // of the text of each message, for searches; 0 for none
	Fields  IndexFieldsConfig
	// Retention is how long messages are kept in the index. It deletes no mail.
	Retention time.Duration
	SQLite    SQLiteConfig
	Postgres  PostgresConfig
}

// IndexFieldsConfig says what is kept of a message.
type IndexFieldsConfig struct {
	Exclude []string // names of index.Fields, or text
}

// SQLiteConfig is the database in a file.
type SQLiteConfig struct {
	Path string // "" for a file below data_dir
}

// PostgresConfig is the database on a server.
type PostgresConfig struct {
	URL              Secret // has a password, as a rule
	MaxConnections   int
	StatementTimeout time.Duration
}

// Databases of the index.
const (
	IndexOff      = "off"
	IndexSQLite   = "sqlite"
	IndexPostgres = "postgres"
)

// IndexStores returns the names of the databases that index.store may have.
func IndexStores() []string { return []string{IndexSQLite, IndexPostgres} }

// fieldText is what index.fields.exclude calls the text of messages.
const fieldText = "text"

func defaultIndex() IndexConfig {
	return IndexConfig{
		// For those who try Sluice out. Load switches it off where anything is configured
		// that a fleet would have.
		Store: IndexSQLite,
		Group: "indexer",
		// A pack has that many messages under load, and one transaction of as many rows
		// takes a fraction of a second.
		Batch:     500,
		Text:      4 * KiB, // the beginning says what a mail is about; text is what costs
		Retention: 30 * 24 * time.Hour,
		Postgres:  PostgresConfig{MaxConnections: 8, StatementTimeout: 30 * time.Second},
	}
}

// indexKeys are the keys of the section index.
var indexKeys = []key{
	{"index.store", func(c *Config) value {
		return choice{&c.Index.Store, append([]string{IndexOff}, IndexStores()...), nil}
	},
		"off, sqlite or postgres", IndexSQLite},
	{"index.group", func(c *Config) value { return text{&c.Index.Group, isGroup} },
		"a consumer group of at most 249 characters without spaces", "indexer"},
	{"index.batch", func(c *Config) value { return integer{&c.Index.Batch, 1, 10000} },
		"a whole number from 1 to 10000", "500"},
	{"index.workers", func(c *Config) value { return integer{&c.Index.Workers, 0, 256} },
		"a whole number up to 256, 0 for the number of processors", "0"},
	{"index.text", func(c *Config) value { return byteSize{&c.Index.Text, 0, MiB} },
		"a size up to 1MiB, of the text of each message, 0 for none", "4KiB"},
	{"index.fields.exclude", func(c *Config) value { return indexFields{words{&c.Index.Fields.Exclude}} },
		"a list of " + strings.Join(indexFieldNames(), ", "), "[text, subject]"},
	{"index.retention", func(c *Config) value { return duration{&c.Index.Retention, time.Hour, math.MaxInt64} },
		"a time of at least 1h, with units up to hours", "720h"},
	{"index.sqlite.path", func(c *Config) value { return text{&c.Index.SQLite.Path, isOptionalPath} },
		`the path of a file, in a folder of its own, or "" for index/index.db below data_dir`, "/var/lib/sluice/index/index.db"},
	{"index.postgres.url", func(c *Config) value { return secretValue{&c.Index.Postgres.URL} },
		"postgres://USER:PASSWORD@HOST:PORT/DATABASE, in one line of printable characters", "postgres://sluice:secret@db.example.net/sluice"},
	{"index.postgres.max_connections", func(c *Config) value { return integer{&c.Index.Postgres.MaxConnections, 2, 1000} },
		"a whole number from 2 (one fills the index, one is for searches) to 1000", "8"},
	{"index.postgres.statement_timeout", func(c *Config) value {
		return duration{&c.Index.Postgres.StatementTimeout, 100 * time.Millisecond, maxTimeout}
	},
		"a time from 100ms to 1h", "30s"},
}

// indexFields is a list of what an index is kept without, each at most once.
type indexFields struct{ words }

func indexFieldNames() []string { return append(slices.Clone(index.Fields), fieldText) }

func (v indexFields) check() *valueError {
	for i, name := range *v.at {
		switch f := (&valueError{got: strconv.Quote(name), at: itemAt(i)}); {
		case !slices.Contains(indexFieldNames(), name):
			return f
		case slices.Contains((*v.at)[:i], name):
			f.why = "duplicate"
			return f
		}
	}
	return nil
}

// Excludes returns the fields of a message that are not kept.
func (c *IndexConfig) Excludes() []string {
	return slices.DeleteFunc(slices.Clone(c.Fields.Exclude), func(name string) bool { return name == fieldText })
}

// TextBytes returns how much of the text of a message can be found.
func (c *IndexConfig) TextBytes() int {
	if slices.Contains(c.Fields.Exclude, fieldText) {
		return 0
	}
	return int(c.Text)
}

// IndexPath returns the file of the index of kind sqlite.
func (c *Config) IndexPath() string {
	if c.Index.SQLite.Path != "" {
		return c.Index.SQLite.Path
	}
	return filepath.Join(c.DataDir, "index", "index.db")
}

// IndexLine returns the banner's description of the index.
func (c *Config) IndexLine() string {
	place := c.IndexPath()
	if c.Index.Store != IndexSQLite {
		place = c.Index.Store
	}
	return place
}

// Indexes reports whether there is an index. There is none of mail that is thrown away.
func (c *Config) Indexes() bool {
	return c.Index.Store != IndexOff && !c.DiscardsMessages() && !c.DiscardsEvents()
}

// IndexesItself reports whether a gateway fills the index in its own process. It does so
// where its event log is there too. Consumers of a cluster are processes of their own: a
// fleet has as many as it needs, and none of them takes a gateway's time.
func (c *Config) IndexesItself() bool { return c.Indexes() && c.Events.kind().alone }

// leaveIndexOff switches the index off where nobody has asked for it: with a file, and with
// a store or an event log that several processes share.
func (c *Config) leaveIndexOff() {
	if _, chosen := c.origins["index.store"]; chosen {
		return
	}
	if c.file != "" || !c.Store.kind().alone || !c.Events.kind().alone {
		c.Index.Store = IndexOff
	}
}

// checkIndexStore requires the address of a server that is one. What there is instead is
// not shown.
func checkIndexStore(c *Config) *Problem {
	if !c.Indexes() || c.Index.Store != IndexPostgres {
		return nil
	}
	const path = "index.postgres.url"
	address, err := url.Parse(c.Index.Postgres.URL.Reveal())
	if err == nil && (address.Scheme == "postgres" || address.Scheme == "postgresql") && address.Opaque == "" {
		return nil
	}
	p := c.conflict(path, findKey(keys, path).expected+", because index.store is postgres",
		"put it into a file and set e.g. "+c.Setting(path+fileSuffix, "/run/secrets/index_url"))
	if c.Index.Postgres.URL.Reveal() != "" {
		p.Got = "got a value that is not shown"
	}
	return p
}

// checkIndexed requires an index for who fills it, and mail that it could be of.
func checkIndexed(c *Config) *Problem {
	if c.DiscardsMessages() || c.DiscardsEvents() {
		return c.conflict("index.store", "off, because store.kind or events.kind is "+KindDiscard+": there is no mail to be found",
			"set another kind")
	}
	if c.Indexes() {
		return nil
	}
	return c.conflict("index.store", "sqlite or postgres: where sluice index writes to",
		"set e.g. "+c.Setting("index.store", IndexPostgres)+" and "+c.Setting("index.postgres.url"+fileSuffix, "/run/secrets/index_url"))
}

// indexWarnings returns settings of the index that are allowed but risky.
func (c *Config) indexWarnings() (all []string) {
	if !c.Indexes() {
		for path := range c.origins {
			if strings.HasPrefix(path, "index.") && (path != "index.store" || c.Index.Store != IndexOff) {
				return []string{"index has no effect: there is none (index.store, store.kind, events.kind)"}
			}
		}
		return nil
	}
	if c.Index.Store == IndexSQLite && !c.Events.kind().alone {
		all = append(all, "index.store is sqlite, a file of one machine: more than one sluice index would each have a part of the mail")
	}
	if groups := c.Pressure.Lag.Groups; len(groups) > 0 && !slices.Contains(groups, c.Index.Group) {
		all = append(all, "index.group "+c.Index.Group+" is not in pressure.lag.groups: no mail is put off for an index that falls behind or stops")
	}
	return all
}

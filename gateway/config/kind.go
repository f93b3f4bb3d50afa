package config

import (
	"slices"
	"strings"
)

// kind is one implementation of the store or of the event log, named by store.kind or
// events.kind. A new kind is a file that declares one, and a line in stores or logs.
type kind struct {
	name   string
	keys   []key   // of its section
	checks []check // run only when the kind is chosen
	// warnings returns settings that are allowed but risky; nil for none.
	warnings func(*Config) []string
	// describe returns the line of the kind in the banner. address is the address that
	// the kind listens on in this process, "" if it does not listen.
	describe func(c *Config, address string) string
	// listens returns the kind's server in this process, and reports whether its address
	// is one that the kind's own checks allow; nil for none.
	listens func(*Config) (at server, ok bool)
	// parts returns how the store takes large messages in parts; nil for a store that
	// takes messages whole.
	parts func(*Config) Parts
	// memory returns the memory needed in this process in addition to message bodies, in
	// bytes; nil for none.
	memory   func(*Config) int64
	discards bool // it keeps nothing
	alone    bool // only this process has it, or this machine
	// spareLanes says that as many lanes may open beside those that stand still.
	spareLanes bool
}

// server is an address to listen on and the key that sets it.
type server struct{ path, address string }

// stores are the kinds that store.kind may name.
var stores = []kind{dirKind, s3Kind, discardStoreKind}

// logs are the kinds that events.kind may name.
var logs = []kind{embeddedKind, kafkaKind, discardLogKind}

// kind returns the kind of the store. For an unknown name, which the key's own check
// refuses, it returns a kind without rules.
func (s *StoreConfig) kind() kind { return findKind(stores, s.Kind) }

// kind returns the kind of the event log, as StoreConfig.kind does for the store.
func (e *EventsConfig) kind() kind { return findKind(logs, e.Kind) }

func findKind(table []kind, name string) kind {
	if i := slices.IndexFunc(table, func(k kind) bool { return k.name == name }); i >= 0 {
		return table[i]
	}
	return kind{name: name, describe: func(*Config, string) string { return name }}
}

func (k kind) warningsOf(c *Config) []string {
	if k.warnings == nil {
		return nil
	}
	return k.warnings(c)
}

// keysOf returns the keys of all kinds, in the order of table.
func keysOf(table []kind) []key {
	var all []key
	for _, k := range table {
		all = append(all, k.keys...)
	}
	return all
}

// namesOf returns the names of the kinds, in the order of table.
func namesOf(table []kind) []string {
	var all []string
	for _, k := range table {
		all = append(all, k.name)
	}
	return all
}

// anyOf returns the expectation of a key that names one of the kinds.
func anyOf(table []kind) string {
	var kept, discarded []string
	for _, k := range table {
		if k.discards {
			discarded = append(discarded, k.name)
		} else {
			kept = append(kept, k.name)
		}
	}
	last := len(kept) - 1
	text := kept[last]
	if last > 0 {
		text = strings.Join(kept[:last], ", ") + " or " + text
	}
	return text + ", or " + strings.Join(discarded, " or ") + " for benchmarks"
}

// StoreLine returns the banner's description of the object store.
func (c *Config) StoreLine() string { return c.Store.kind().describe(c, "") }

// EventsLine returns the banner's description of the event log. address is its address in
// this process, "" if it is elsewhere.
func (c *Config) EventsLine(address string) string { return c.Events.kind().describe(c, address) }

// Parts is how a store takes large messages in parts.
type Parts struct {
	Size        int64 // of each part but the last, in bytes; 0 for a store that takes messages whole
	Concurrency int   // requests in flight
	key         string
}

// Parts returns how the store takes large messages in parts.
func (c *Config) Parts() Parts {
	if parts := c.Store.kind().parts; parts != nil {
		return parts(c)
	}
	return Parts{}
}

// KindMemory returns the memory that store and event log need in this process in addition
// to message bodies, in bytes.
func (c *Config) KindMemory() (total int64) {
	for _, k := range []kind{c.Store.kind(), c.Events.kind()} {
		if k.memory != nil {
			total += k.memory(c)
		}
	}
	return total
}

// DiscardsMessages reports whether messages are answered 250 and not stored.
func (c *Config) DiscardsMessages() bool { return c.Store.kind().discards }

// DiscardsEvents reports whether messages are answered 250 and not announced.
func (c *Config) DiscardsEvents() bool { return c.Events.kind().discards }

// StoreKinds returns the names that store.kind may have.
func StoreKinds() []string { return namesOf(stores) }

// EventKinds returns the names that events.kind may have.
func EventKinds() []string { return namesOf(logs) }

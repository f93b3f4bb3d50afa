package config

// KindDiscard names the store and the event log that keep nothing, for benchmarks.
const KindDiscard = "discard"

var discardStoreKind = kind{
	name:     KindDiscard,
	checks:   []check{{forAll, single(checkDiscardedStore)}},
	describe: func(*Config, string) string { return "are thrown away" },
	discards: true,
}

var discardLogKind = kind{
	name:     KindDiscard,
	checks:   []check{{forAll, single(checkDiscardedEvents)}},
	describe: func(*Config, string) string { return "are thrown away" },
	discards: true,
}

// checkDiscardedStore requires unsafe_discard for a store that keeps nothing, because the
// message is answered 250.
func checkDiscardedStore(c *Config) *Problem {
	if c.UnsafeDiscard {
		return nil
	}
	return c.conflict("store.kind", "another kind, because this one answers 250 and keeps nothing",
		"set e.g. "+c.Setting("store.kind", KindDir)+", or for a benchmark "+c.Setting("unsafe_discard", "true"))
}

// checkDiscardedEvents requires unsafe_discard for a log that keeps nothing, because the
// message is answered 250.
func checkDiscardedEvents(c *Config) *Problem {
	if c.UnsafeDiscard {
		return nil
	}
	return c.conflict("events.kind", "another kind, because this one answers 250 and tells nobody",
		"set e.g. "+c.Setting("events.kind", KindEmbedded)+", or for a benchmark "+c.Setting("unsafe_discard", "true"))
}

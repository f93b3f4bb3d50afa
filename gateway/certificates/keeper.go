package certificates

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// When the files are looked at. What differs from what is in use is looked at once more
// after settle: somebody may write it just now, one file behind the other.
const (
	lookEvery = 30 * time.Second
	settle    = time.Second
	warnEvery = 24 * time.Hour // of an expiring certificate
	// restlessLooks is the number of looks, each of which finds something else than the one
	// before, after which this is logged. They take a minute or longer.
	restlessLooks = 60
)

// Keeper holds the Set in use. All methods are safe for concurrent use; those that an
// event loop may call say so.
type Keeper struct {
	options Options
	current atomic.Pointer[Set]

	mu     sync.Mutex                   // held while the set in use is changed
	seen   map[string][sha256.Size]byte // by file: what the last look found
	told   map[string][sha256.Size]byte // by file: what was logged as bad
	unrest map[string]int               // by file: looks in a row that found something else
	warned time.Time                    // when expiring certificates were last logged
}

// Options are what a Keeper reports to.
type Options struct {
	// Reloaded counts a part that was read anew, by one of Results.
	Reloaded func(result string)
	Logger   *slog.Logger
}

// NewKeeper returns a Keeper that holds set, and logs the certificates in it.
func NewKeeper(set *Set, o Options) *Keeper {
	k := &Keeper{options: o, warned: time.Now()}
	k.put(set)
	for _, p := range set.parts {
		k.logPair("certificate", p)
	}
	return k
}

// Config returns the configuration for the next connection, nil if there is no
// certificate. It does not block.
func (k *Keeper) Config() *tls.Config { return k.current.Load().config }

// Trusts reports whether one of the authorities of now vouches for the certificate that a
// client sent. It computes signatures.
func (k *Keeper) Trusts(state *tls.ConnectionState) bool {
	return k.current.Load().trusts(state, time.Now())
}

// Status is the state of one certificate in use.
type Status struct {
	File     string
	NotAfter time.Time
}

// Certificates returns the state of each certificate in use, in the order of the settings.
func (k *Keeper) Certificates() []Status {
	var all []Status
	for _, p := range k.current.Load().parts {
		if p.pair != nil {
			all = append(all, Status{p.files[0].path, p.pair.Leaf.NotAfter})
		}
	}
	return all
}

// Use puts the set of a new configuration in the place of the present one. Its files were
// just read, and whoever loaded it says its warnings.
func (k *Keeper) Use(set *Set) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.current.Load()
	k.put(set)
	for _, p := range set.parts {
		if !slices.ContainsFunc(before.parts, func(q *part) bool { return q.sum == p.sum }) {
			k.options.Reloaded(resultOK)
			k.logPair("certificate read anew", p)
		}
	}
}

// put makes set the one in use and forgets what was found in files.
func (k *Keeper) put(set *Set) {
	k.current.Store(set)
	k.seen, k.told = make(map[string][sha256.Size]byte), make(map[string][sha256.Size]byte)
	k.unrest = make(map[string]int)
}

// Run looks at the files until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	wait := lookEvery
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = lookEvery
		if k.look(time.Now()) {
			wait = settle
		}
	}
}

// look reads all files. Those that have changed, and are as the last look found them, take
// effect; each part by itself, since one bad pair must not hold up the others. It reports
// whether some are to be looked at again soon.
//
// Contents are compared. Kubernetes swaps a symbolic link above the file, and a renewal
// within the same second may leave the times as they were.
func (k *Keeper) look(now time.Time) (soon bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.current.Load()
	parts, changed := slices.Clone(set.parts), false
	for i, p := range parts {
		name, r := p.files[0].key, p.read()
		if k.changed(p, r.sum) {
			soon = soon || r.sum != p.sum
			continue
		}
		switch {
		case r.sum == p.sum:
			delete(k.told, name)
			continue
		case k.told[name] == r.sum:
			continue
		}
		next, fault := p.with(r)
		if fault != nil {
			k.told[name] = r.sum
			k.refuse(fault)
			continue
		}
		delete(k.told, name)
		parts[i], changed = next, true
		k.tookOver(next, now)
	}
	if changed {
		k.current.Store(assemble(set.settings, parts))
	}
	k.warn(now)
	return soon
}

// changed reports whether the files of p are not as the last look found them. It says so
// once of files that never rest, since they are never taken.
func (k *Keeper) changed(p *part, sum [sha256.Size]byte) bool {
	name := p.files[0].key
	last, looked := k.seen[name]
	if !looked {
		last = p.sum
	}
	k.seen[name] = sum
	if sum == last {
		delete(k.unrest, name)
		return false
	}
	if k.unrest[name]++; k.unrest[name] == restlessLooks {
		text := "was changed again before each look: who writes it?"
		if len(p.files) > 1 {
			text = "or " + p.files[1].path + " " + text
		}
		k.refuse(p.fault(0, resultRestless, errors.New(text)))
	}
	return true
}

// refuse reports a change that is not taken.
func (k *Keeper) refuse(fault *Fault) {
	k.options.Reloaded(fault.Result)
	k.options.Logger.Error("a file of TLS has changed and cannot be used: what was read before stays in use",
		"key", "tls."+fault.Key, "file", fault.File, "err", fault.Text)
}

// tookOver reports that p was read anew.
func (k *Keeper) tookOver(p *part, now time.Time) {
	k.options.Reloaded(resultOK)
	if p.pair != nil {
		k.logPair("certificate read anew", p)
	} else {
		k.options.Logger.Info("a file of TLS read anew", "key", "tls."+p.files[0].key, "file", p.files[0].path)
	}
	for _, text := range p.warnings {
		k.options.Logger.Warn(text)
	}
	if text := p.expiry(now); text != "" {
		k.options.Logger.Warn(text)
	}
}

// warn logs the certificates in use that have expired or soon will, once a day.
func (k *Keeper) warn(now time.Time) {
	if now.Sub(k.warned) < warnEvery {
		return
	}
	k.warned = now
	for _, p := range k.current.Load().parts {
		if text := p.expiry(now); text != "" {
			k.options.Logger.Warn(text)
		}
	}
}

// logPair logs the certificate of p, if it has one.
func (k *Keeper) logPair(message string, p *part) {
	if p.pair == nil {
		return
	}
	leaf := p.pair.Leaf
	k.options.Logger.Info(message, "file", p.files[0].path, "names", namesOf(leaf), "key", keyKind(leaf),
		"until", leaf.NotAfter.UTC(), "tlsa", TLSA(leaf))
}

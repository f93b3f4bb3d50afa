// Package resolver asks recursive DNS servers about names, for the verification of mail.
// What it asks for, strangers choose, and so do they what comes back: the number of
// queries, the memory for answers and the time for each are bounded.
//
// Its methods block and are safe for concurrent use. None is for an event loop.
package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"sluice/internal/panics"
)

// Bounds of what strangers can make a resolver do.
const (
	// MaxInFlight is how many questions may wait for servers at a time. Each costs a
	// goroutine, a socket and, for a short while, up to 64 KiB.
	MaxInFlight = 2000
	// DefaultLookups is how much one message may look up.
	DefaultLookups = 100
)

// Options are what a Resolver needs. The zero value of each field has a default.
type Options struct {
	// Servers are recursive servers, IP or IP:port. Empty: those of /etc/resolv.conf.
	Servers []string
	// Timeout is how long one server has for an answer; 3 s.
	Timeout time.Duration
	// CacheBytes bounds what answers may take in memory, about; 64 MiB.
	CacheBytes int64
	// Observer hears of each lookup. It may be nil.
	Observer Observer
}

// An Observer hears of lookups, on any goroutine.
type Observer interface {
	// Looked reports a lookup that has ended.
	Looked(Lookup)
}

// Lookup is one question and what became of it.
type Lookup struct {
	Type    string // one of Types
	Outcome string // one of Outcomes
	Hit     bool   // it was answered by the cache
	Took    time.Duration
}

// Types returns every type of record that is asked for.
func Types() []string { return []string{"A", "AAAA", "MX", "PTR", "TXT"} }

// Resolver asks servers and remembers answers.
type Resolver struct {
	servers   []string
	preferred atomic.Uint32 // index of the server that is asked first
	timeout   time.Duration
	observer  Observer
	cache     *cache

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	now    func() time.Time

	mu     sync.Mutex
	calls  map[question]*call
	closed bool
	asking sync.WaitGroup // those in calls
}

// question is what is asked for.
type question struct {
	name  string // as asciiLower leaves it, without the last dot
	qtype uint16
}

// call is a question that waits for servers, with all who wait for it.
type call struct {
	done   chan struct{} // closed when answer is set
	answer *answer
}

// New returns a resolver that has asked nobody yet.
func New(options Options) (*Resolver, error) {
	servers, err := serversOf(options.Servers)
	if err != nil {
		return nil, err
	}
	if options.Timeout <= 0 {
		options.Timeout = 3 * time.Second
	}
	if options.CacheBytes <= 0 {
		options.CacheBytes = 64 << 20
	}
	r := &Resolver{
		servers: servers, timeout: options.Timeout, observer: options.Observer,
		cache: newCache(options.CacheBytes), now: time.Now, calls: map[question]*call{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// serversOf returns addresses with ports.
func serversOf(given []string) ([]string, error) {
	if len(given) == 0 {
		found, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil {
			return nil, fmt.Errorf("no resolvers are configured: %w", err)
		}
		given = found.Servers
	}
	servers := make([]string, 0, len(given))
	for _, s := range given {
		if address, err := netip.ParseAddrPort(s); err == nil {
			servers = append(servers, address.String())
		} else if address, err := netip.ParseAddr(s); err == nil {
			servers = append(servers, netip.AddrPortFrom(address, 53).String())
		} else {
			return nil, fmt.Errorf("resolver %q is not an IP address, with or without a port", s)
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("/etc/resolv.conf names no resolver")
	}
	return servers, nil
}

// Servers returns whom the resolver asks, as IP:port.
func (r *Resolver) Servers() []string { return append([]string(nil), r.servers...) }

// CachedBytes returns what answers take in memory, about.
func (r *Resolver) CachedBytes() int64 { return r.cache.size() }

// InFlight returns the number of questions that wait for servers.
func (r *Resolver) InFlight() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// Close ends all questions and returns when they have ended. Later ones fail.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.asking.Wait()
}

// lookup returns the answer to a question, from the cache or from servers. It always
// returns one; what failed is in its err.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) *answer {
	began := r.now()
	found, hit := r.find(ctx, question{name: asciiLower(strings.TrimSuffix(name, ".")), qtype: qtype})
	r.observe(Lookup{Type: dns.TypeToString[qtype], Outcome: outcome(found.err), Hit: hit, Took: r.now().Sub(began)})
	return found
}

func (r *Resolver) observe(l Lookup) {
	if r.observer != nil {
		r.observer.Looked(l)
	}
}

func (r *Resolver) find(ctx context.Context, q question) (found *answer, hit bool) {
	if err := ctx.Err(); err != nil {
		return failed(err), false
	}
	if !validName(q.name) {
		return &answer{err: ErrNoName}, true // nobody can have it
	}
	if found := r.cache.get(q, r.now()); found != nil {
		return found, true
	}
	c, err := r.join(q)
	if err != nil {
		return failed(err), false
	}
	select {
	case <-c.done:
		return c.answer, false
	case <-ctx.Done():
		return failed(ctx.Err()), false
	}
}

// join returns the call that asks the question, which may be a new one. A call does not
// end with the context of who began it: others wait for it too, and the cache.
func (r *Resolver) join(q question) (*call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.calls[q]; c != nil {
		return c, nil
	}
	if r.closed {
		return nil, ErrClosed
	}
	if len(r.calls) >= MaxInFlight {
		return nil, ErrBusy
	}
	c := &call{done: make(chan struct{})}
	r.calls[q] = c
	r.asking.Add(1)
	go func() {
		var found *answer
		err := panics.Try(panics.Resolve, func() error {
			found = r.resolve(q)
			return nil
		})
		if err != nil {
			found = failed(err)
		}
		r.finish(q, c, found)
	}()
	return c, nil
}

// finish stores an answer before the call is gone, so that nobody asks in between.
func (r *Resolver) finish(q question, c *call, found *answer) {
	defer r.asking.Done()
	r.cache.put(q, found, r.now())
	r.mu.Lock()
	delete(r.calls, q)
	r.mu.Unlock()
	c.answer = found
	close(c.done)
}

// validName reports whether a name can exist in DNS, but for the root.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// asciiLower returns s with ASCII letters in lower case. Other bytes, which DNS compares
// as they are, stay.
func asciiLower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

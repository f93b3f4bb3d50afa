// Package resolver asks recursive DNS servers about names, for the verification of mail.
// What it asks for, strangers choose, and so do they what comes back: the number of
// queries, the memory for answers and the time for each are bounded.
//
// Its methods block and are safe for concurrent use. None is for an event loop.
package resolver

import (
	"context"
	"log/slog"
	"strings"
	"sync"
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
	// maxUnwanted is how many of them nobody waits for any more. Their answers are of use to
	// the next who asks, but a client that comes and goes must not take all there may be.
	maxUnwanted = MaxInFlight / 4
)

// Options are what a Resolver needs. The zero value of each field has a default.
type Options struct {
	// Servers are recursive servers, IP or IP:port. Empty: those of /etc/resolv.conf, also
	// after it has changed.
	Servers []string
	// Timeout is how long one server has for an answer; DefaultTimeout.
	Timeout time.Duration
	// CacheBytes bounds what answers may take in memory, about; DefaultCacheBytes.
	CacheBytes int64
	// Sockets is how many sockets there may be at once; MaxInFlight. Questions wait for one.
	Sockets int
	// Observer hears of each lookup. It may be nil.
	Observer Observer
	// Logger is told of servers that are silent. It may be nil.
	Logger *slog.Logger
}

// Defaults of Options.
const (
	DefaultTimeout    = 3 * time.Second
	DefaultCacheBytes = 64 << 20
)

// An Observer hears of lookups, on any goroutine.
type Observer interface {
	// LookedUp reports a lookup that has ended. recordType is one of Types and outcome one of
	// Outcomes. hit reports whether the cache had the answer. seconds is how long servers
	// took, negative if none was asked.
	LookedUp(recordType, outcome string, hit bool, seconds float64)
}

// Types returns every type of record that is asked for.
func Types() []string { return []string{"A", "AAAA", "MX", "PTR", "TXT"} }

// Resolver asks servers and remembers answers.
type Resolver struct {
	servers  *servers
	sockets  chan struct{} // has one for each that is open
	timeout  time.Duration
	observer Observer
	cache    *cache

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	now    func() time.Time

	mu       sync.Mutex
	calls    map[question]*call
	unwanted int // of calls, those that nobody waits for
	closed   bool
	asking   sync.WaitGroup // those in calls
}

// question is what is asked for.
type question struct {
	name  string // as asciiLower leaves it, without the last dot
	qtype uint16
}

// call is a question that waits for servers, with all who wait for it.
type call struct {
	done    chan struct{} // closed when answer is set
	answer  *answer
	waiting int                // how many wait; of Resolver.mu
	cancel  context.CancelFunc // ends it
}

// New returns a resolver that has asked nobody yet.
func New(options Options) (*Resolver, error) {
	r := &Resolver{
		sockets: make(chan struct{}, orDefault(options.Sockets, MaxInFlight)), timeout: orDefault(options.Timeout, DefaultTimeout),
		observer: options.Observer, cache: newCache(orDefault(options.CacheBytes, DefaultCacheBytes)),
		now: time.Now, calls: map[question]*call{},
	}
	var err error
	if r.servers, err = newServers(options.Servers, options.Logger); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

func orDefault[T int | int64 | time.Duration](given, otherwise T) T {
	if given <= 0 {
		return otherwise
	}
	return given
}

// Servers returns whom the resolver asks, as IP:port.
func (r *Resolver) Servers() []string {
	var all []string
	for _, s := range r.servers.list(r.now()).all {
		all = append(all, s.address)
	}
	return all
}

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
	found, from := r.find(ctx, question{name: asciiLower(strings.TrimSuffix(name, ".")), qtype: qtype})
	r.observe(qtype, found.err, from, r.now().Sub(began))
	return found
}

// origin is where an answer is from.
type origin int

const (
	fromNobody origin = iota
	fromCache
	fromServers
)

func (r *Resolver) observe(qtype uint16, err error, from origin, took time.Duration) {
	if r.observer == nil {
		return
	}
	seconds := -1.0
	if from == fromServers {
		seconds = took.Seconds()
	}
	r.observer.LookedUp(dns.TypeToString[qtype], outcome(err), from == fromCache, seconds)
}

func (r *Resolver) find(ctx context.Context, q question) (found *answer, from origin) {
	if err := ctx.Err(); err != nil {
		return failed(err), fromNobody
	}
	if !validName(q.name) {
		return &answer{err: ErrNoName}, fromNobody // nobody can have it
	}
	if found := r.cache.get(q, r.now()); found != nil {
		return found, fromCache
	}
	c, err := r.join(q)
	if err != nil {
		return failed(err), fromNobody
	}
	select {
	case <-c.done:
		return c.answer, fromServers
	case <-ctx.Done():
		r.leave(q, c)
		return failed(ctx.Err()), fromServers
	}
}

// leave ends the waiting for a call. One that nobody waits for goes on if there are few.
func (r *Resolver) leave(q question, c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.waiting--; c.waiting > 0 || r.calls[q] != c {
		return
	}
	if r.unwanted < maxUnwanted {
		r.unwanted++
		return
	}
	delete(r.calls, q)
	c.cancel()
}

// join returns the call that asks the question, which may be a new one. A call does not
// end with the context of who began it: others wait for it too, and the cache.
func (r *Resolver) join(q question) (*call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.calls[q]; c != nil {
		if c.waiting == 0 {
			r.unwanted--
		}
		c.waiting++
		return c, nil
	}
	if r.closed {
		return nil, ErrClosed
	}
	if len(r.calls) >= MaxInFlight {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithCancel(r.ctx)
	c := &call{done: make(chan struct{}), waiting: 1, cancel: cancel}
	r.calls[q] = c
	r.asking.Add(1)
	go func() {
		var found *answer
		err := panics.Try(panics.Resolve, func() error {
			found = r.resolve(ctx, q)
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
	defer c.cancel()
	r.mu.Lock()
	if r.calls[q] == c { // it was not given up
		r.cache.put(q, found, r.now())
		delete(r.calls, q)
		if c.waiting == 0 {
			r.unwanted--
		}
	}
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

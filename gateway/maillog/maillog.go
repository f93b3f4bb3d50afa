// Package maillog writes the log: refusals, acceptances and notices. It never makes an
// event loop wait for the reader of the log.
package maillog

import (
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/places"
	"sluice/gateway/session"
	"sluice/internal/panics"
)

// Lengths of the queues of lines that wait for the writer, about 2 MB when all are full.
// Each kind of line has its own queue, and refusals are also sharded by client address. A
// client's lines go only to its own shard and the shared queue, and are bounded by its
// quota. So no client can push out the lines of another. Lines of accepted messages have
// chunks of their own.
const (
	shards       = 64
	shardLines   = 32
	refusalLines = 2048 // shared by clients whose shard is full
	noticeLines  = 1024
	// batchLines is the number of lines that are taken from one queue before the next.
	batchLines = 64
)

const (
	// Patience bounds the last writes: a hanging reader of our standard error must not
	// keep the process from ending.
	Patience = time.Second
	// panicEvery is the least time between two lines on panics of one place.
	panicEvery = 10 * time.Second
	// maxStack bounds the stack that is logged for a panic.
	maxStack = 8 << 10
	// warningLines is the number of warnings of one kind about messages in a second.
	warningLines = 10
)

// Log writes the log of a gateway. Its callers hand over a copy and never wait: one
// goroutine writes, and a line that finds its queue full is dropped and counted. Refusals
// are logged at info. Accepted messages have lines whatever the level is.
//
// Values from clients cannot forge a line: every value that is not plain is quoted. Nor can
// they fill the log: of each at most maxValue bytes are written.
type Log struct {
	shards   [shards]chan entry // refusals, by client address
	refusals chan entry         // refusals whose shard is full
	notices  chan entry         // warnings, panics, and the lines of Logger
	messages messageLines
	waiting  chan struct{}
	seed     maphash.Seed

	level   slog.LevelVar
	dropped atomic.Int64
	omitted atomic.Int64 // lines beyond the quota of their client
	left    atomic.Int64 // lines beyond the limit of their session, or panicEvery
	panics  sync.Map     // by place, when the last panic was logged
	quota   *clientQuota
	logins  *clientQuota // of its own: no client hides a login behind refusals
	behind  warnings     // LeftBehind
	splits  warnings     // PackSplit
	lines   *lineWriter
	logger  *slog.Logger

	closing sync.Once
	stop    chan struct{}
	stopped chan struct{}
}

// Options say what the log has, and its format.
type Options struct {
	Level slog.Level
	// Messages is the share of accepted messages that have a line, from 0 to 1.
	Messages float64
	JSON     bool // one object a line (slog.JSONHandler) instead of key=value (slog.TextHandler)
}

// New returns a log that writes to w from a goroutine of its own. Close ends it.
func New(o Options, w io.Writer) *Log {
	m := &Log{
		refusals: make(chan entry, refusalLines),
		notices:  make(chan entry, noticeLines),
		waiting:  make(chan struct{}, 1),
		seed:     maphash.MakeSeed(),
		quota:    newClientQuota(),
		logins:   newClientQuota(),
		lines:    &lineWriter{to: w},
		stop:     make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	m.messages.init(lineFormat{o.JSON})
	m.SetMessages(o.Messages)
	for i := range m.shards {
		m.shards[i] = make(chan entry, shardLines)
	}
	m.level.Set(o.Level)
	options := &slog.HandlerOptions{Level: &m.level}
	handler := func(w io.Writer) slog.Handler {
		if o.JSON {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	}
	m.logger = slog.New(handler(loggerLines{m}))
	go func() {
		defer close(m.stopped)
		panics.Keep(panics.MailLog, func() { m.run(handler(m.lines)) })
	}()
	return m
}

// SetLevel sets the level of the lines that are written from now on.
func (m *Log) SetLevel(level slog.Level) { m.level.Set(level) }

// SetMessages sets the share of the messages that are accepted from now on and have a
// line, from 0 to 1.
func (m *Log) SetMessages(share float64) { m.messages.setShare(share) }

// writes reports whether lines of a level are written.
func (m *Log) writes(level slog.Level) bool { return m.level.Level() <= level }

// Logger returns the logger for everything outside the mail path. It never waits.
func (m *Log) Logger() *slog.Logger { return m.logger }

// Dropped returns the number of lines since the start that found their queue full, or
// that could not be written.
func (m *Log) Dropped() int64 { return m.dropped.Load() + m.lines.lost.Load() }

// Omitted returns the number of refusals, lost messages, logins, warnings about messages and panics
// since the start that have no line because their session, their client, their kind or
// their place had too many.
func (m *Log) Omitted() int64 {
	return m.omitted.Load() + m.left.Load() + m.behind.omitted.Load() + m.splits.omitted.Load()
}

// Refused implements driver.MailLog.
func (m *Log) Refused(r *driver.Refusal) {
	m.left.Add(int64(r.LeftOut))
	if !m.writes(slog.LevelInfo) {
		return
	}
	m.putRefusal(r.Client.Addr(), entry{
		kind: refused, session: r.Session.String(), client: address(r.Client), helo: strings.Clone(clip(r.Helo)),
		mailFrom: string(clip(r.MailFrom)), to: string(clip(r.To)), verb: r.Verb, message: strings.Clone(r.Message),
		enhanced: r.Enhanced, cause: r.Cause, pressure: r.Pressure, code: r.Code, recipients: r.Recipients,
		leftOut: r.LeftOut, err: r.Err,
		user: strings.Clone(clip(r.User)), mechanism: r.Mechanism, backend: r.Backend, reason: r.Reason,
	})
}

// LeftOut implements driver.MailLog.
func (m *Log) LeftOut(id session.ID, client netip.AddrPort, lines int) {
	m.left.Add(int64(lines))
	if m.writes(slog.LevelInfo) {
		m.putRefusal(client.Addr(), entry{kind: leftOut, session: id.String(), client: address(client), leftOut: lines})
	}
}

// Lost implements driver.MailLog.
func (m *Log) Lost(l *driver.Loss) {
	if !m.writes(slog.LevelInfo) {
		return
	}
	m.putRefusal(l.Client.Addr(), entry{
		kind: lost, session: l.Session.String(), client: address(l.Client), helo: strings.Clone(clip(l.Helo)),
		mailFrom: string(clip(l.MailFrom)), to: string(clip(l.To)), recipients: l.Recipients,
		message: strings.Clone(l.Message), octets: l.Octets, user: strings.Clone(clip(l.User)), verb: l.Stage, cause: l.End,
	})
}

// LoggedIn implements driver.MailLog.
func (m *Log) LoggedIn(l *driver.Login) {
	if !m.writes(slog.LevelInfo) || !m.mayLog(m.logins, l.Client.Addr()) {
		return
	}
	e := entry{
		kind: loggedIn, session: l.Session.String(), client: address(l.Client), helo: strings.Clone(clip(l.Helo)),
		user: strings.Clone(clip(l.User)), mechanism: l.Mechanism, backend: l.Backend,
	}
	if l.Gone {
		e.cause = driver.CauseClientGone
	}
	m.putAbout(l.Client.Addr(), e)
}

// Accepted implements driver.MailLog. It formats the line at once, and does not allocate
// for that unless a value has other than printable ASCII characters.
func (m *Log) Accepted(a *driver.Acceptance) {
	if m.messages.samples(a.Message.ID) && !m.messages.add(a) {
		m.dropped.Add(1)
	}
}

// LeftBehind logs a failed message that left an object or upload in the bucket. It may be
// called on event loops.
func (m *Log) LeftBehind(key string, err error) {
	m.warn(&m.behind, entry{kind: leftBehind, message: key, err: err})
}

// PackSplit logs why the object store refused a pack, and its number of messages.
func (m *Log) PackSplit(messages int, err error) {
	m.warn(&m.splits, entry{kind: packSplit, messages: messages, err: err})
}

// warn logs a warning about a message, unless there were warningLines of its kind in this
// second: while a store fails, each message may have one.
func (m *Log) warn(kind *warnings, e entry) {
	switch {
	case !m.writes(slog.LevelWarn):
	case countIn(&kind.count, m.quota.second.Load()) > warningLines:
		kind.omitted.Add(1)
	default:
		m.put(m.notices, e)
	}
}

// Panicked implements driver.MailLog. Of each place it logs one panic in panicEvery: one
// that every message provokes must not flood the log. sluice_panics_total has them all.
func (m *Log) Panicked(id session.ID, where string, reason any, stack []byte) {
	now := time.Now()
	last, seen := m.panics.LoadOrStore(where, now)
	if seen && (now.Sub(last.(time.Time)) < panicEvery || !m.panics.CompareAndSwap(where, last, now)) {
		m.left.Add(1)
		return
	}
	e := entry{
		kind: panicked, verb: where, cause: fmt.Sprint(reason),
		message: string(stack[:min(len(stack), maxStack)]),
	}
	if id != 0 {
		e.session = id.String()
	}
	m.put(m.notices, e)
}

// putRefusal puts the line of a refusal, unless the quota of its client is used up.
func (m *Log) putRefusal(client netip.Addr, e entry) {
	if m.mayLog(m.quota, client) {
		m.putAbout(client, e)
	}
}

// putAbout puts a line into its client's shard or, if that is full, into the shared queue.
func (m *Log) putAbout(client netip.Addr, e entry) {
	e.at = time.Now()
	select {
	case m.shards[m.shard(client)] <- e:
		wake(m.waiting)
	default:
		m.put(m.refusals, e)
	}
}

// shard returns the index of the shard for a client's lines. The hash is keyed, so no client
// can choose its shard.
func (m *Log) shard(client netip.Addr) uint64 {
	key := places.Client(client).As16()
	return maphash.Bytes(m.seed, key[:]) % shards
}

func (m *Log) put(queue chan entry, e entry) {
	if e.at.IsZero() {
		e.at = time.Now()
	}
	select {
	case queue <- e:
		wake(m.waiting)
	default:
		m.dropped.Add(1)
	}
}

// wake tells the writer something, unless it was told already.
func wake(writer chan<- struct{}) {
	select {
	case writer <- struct{}{}:
	default:
	}
}

// Close writes the waiting lines and ends the goroutine, unless the log's reader blocks
// it for longer than Patience. Later lines are lost.
func (m *Log) Close() {
	m.closing.Do(func() { close(m.stop) })
	select {
	case <-m.stopped:
	case <-time.After(Patience):
	}
}

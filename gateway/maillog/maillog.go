// Package maillog writes the log: refusals, acceptances and notices, without ever making
// an event loop wait for the reader of the log.
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
)

// The rooms of lines that wait for the writer, about 2 MB when all are full. Each
// kind of line has its own, and of the refusals each share of the clients' addresses
// has a corner to which no other client's lines come, and no client may have
// more than its share, so that nobody can push out the line of somebody else.
const (
	corners      = 64
	cornerRoom   = 32
	refusalRoom  = 2048 // shared by those whose corner is full
	acceptedRoom = 2048
	noticeRoom   = 1024
	// turnLines is how many lines of one room are written before those of another.
	turnLines = 64
)

const (
	// Patience bounds the last writes: a reader of our standard error
	// that hangs must not keep the process from ending.
	Patience = time.Second
	// maxStack bounds what a panic writes.
	maxStack = 8 << 10
)

// Log writes the log of a gateway. Whoever logs hands over a copy and never waits: one
// goroutine writes, and a line that finds no room is dropped and counted. Refusals
// are at info. Acceptances are at debug, because the event is their record; a log
// line for each would say the same again at the rate of the mail.
//
// Values from clients cannot forge a line: slog quotes whatever is not plain.
type Log struct {
	corners  [corners]chan entry // refusals, by client
	refusals chan entry          // those whose corner is full
	accepted chan entry
	notices  chan entry // warnings, panics, and what Logger writes
	waiting  chan struct{}
	seed     maphash.Seed

	acceptance   bool // acceptances are written
	acceptanceAt slog.Level
	refusal      bool // the level is info or debug
	warning      bool // the level is not error
	dropped      atomic.Int64
	omitted      atomic.Int64 // lines that their client was to have no more of
	left         atomic.Int64 // lines that their session was to have no more of
	shares       *logShares
	lines        *lineWriter
	logger       *slog.Logger

	closing sync.Once
	stop    chan struct{}
	stopped chan struct{}
}

// Options says which lines are written, and how.
type Options struct {
	Level slog.Level
	JSON  bool // one object a line (slog.JSONHandler) in place of key=value (slog.TextHandler)
}

// New returns a log that writes to w from a goroutine of its own. Close ends it.
func New(o Options, w io.Writer) *Log {
	m := &Log{
		refusals:     make(chan entry, refusalRoom),
		accepted:     make(chan entry, acceptedRoom),
		notices:      make(chan entry, noticeRoom),
		waiting:      make(chan struct{}, 1),
		seed:         maphash.MakeSeed(),
		refusal:      o.Level <= slog.LevelInfo,
		acceptance:   o.Level <= slog.LevelDebug,
		acceptanceAt: slog.LevelDebug,
		warning:      o.Level <= slog.LevelWarn,
		shares:       newLogShares(),
		lines:        &lineWriter{to: w},
		stop:         make(chan struct{}),
		stopped:      make(chan struct{}),
	}
	for i := range m.corners {
		m.corners[i] = make(chan entry, cornerRoom)
	}
	options := &slog.HandlerOptions{Level: o.Level}
	handler := func(w io.Writer) slog.Handler {
		if o.JSON {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	}
	m.logger = slog.New(handler(formatted{m}))
	go m.run(handler(m.lines))
	return m
}

// ShowAccepted has acceptances written at info, for somebody who tries Sluice on a
// machine of his own. It must be called before the log is used.
func (m *Log) ShowAccepted() { m.acceptance, m.acceptanceAt = m.refusal, slog.LevelInfo }

// Logger returns the logger for everything that is not the mail path. It never waits.
func (m *Log) Logger() *slog.Logger { return m.logger }

// Dropped returns the number of lines since the start that found no room, or that
// could not be written.
func (m *Log) Dropped() int64 { return m.dropped.Load() + m.lines.lost.Load() }

// Omitted returns the number of refusals and lost messages since the start that have no
// line because their session or their client had too many.
func (m *Log) Omitted() int64 { return m.omitted.Load() + m.left.Load() }

// Refused implements driver.MailLog.
func (m *Log) Refused(r *driver.Refusal) {
	m.left.Add(int64(r.LeftOut))
	if !m.refusal {
		return
	}
	m.putRefusal(r.Client.Addr(), entry{
		kind: refused, client: address(r.Client), helo: strings.Clone(r.Helo), mailFrom: string(r.MailFrom),
		to: string(r.To), verb: r.Verb, message: strings.Clone(r.Message), enhanced: r.Enhanced, cause: r.Cause,
		pressure: r.Pressure, code: r.Code, recipients: r.Recipients, leftOut: r.LeftOut, err: r.Err,
	})
}

// LeftOut implements driver.MailLog.
func (m *Log) LeftOut(client netip.AddrPort, lines int) {
	m.left.Add(int64(lines))
	if m.refusal {
		m.putRefusal(client.Addr(), entry{kind: leftOut, client: address(client), leftOut: lines})
	}
}

// Lost implements driver.MailLog.
func (m *Log) Lost(l *driver.Loss) {
	if !m.refusal {
		return
	}
	m.putRefusal(l.Client.Addr(), entry{
		kind: lost, client: address(l.Client), helo: strings.Clone(l.Helo), mailFrom: string(l.MailFrom),
		to: string(l.To), recipients: l.Recipients, message: strings.Clone(l.Message), octets: l.Octets,
		verb: l.Stage, cause: l.End,
	})
}

// Accepted implements driver.MailLog.
func (m *Log) Accepted(a *driver.Acceptance) {
	if !m.acceptance {
		return
	}
	m.put(m.accepted, entry{
		kind: accepted, client: address(a.Client), helo: strings.Clone(a.Helo), mailFrom: string(a.MailFrom),
		message: a.Message.ID.String(), recipients: a.Recipients, octets: a.Octets, seconds: a.Seconds,
	})
}

// LeftBehind logs a failed message that left something in the bucket. It may be called on
// event loops.
func (m *Log) LeftBehind(key string, err error) {
	if m.warning {
		m.put(m.notices, entry{kind: leftBehind, message: key, err: err})
	}
}

// PackSplit logs why the object store refused a pack, and its number of messages.
func (m *Log) PackSplit(messages int, err error) {
	if m.warning {
		m.put(m.notices, entry{kind: packSplit, messages: messages, err: err})
	}
}

// Panicked implements driver.MailLog.
func (m *Log) Panicked(where string, reason any, stack []byte) {
	m.put(m.notices, entry{
		kind: panicked, verb: where, cause: fmt.Sprint(reason),
		message: string(stack[:min(len(stack), maxStack)]),
	})
}

// putRefusal puts a line into its client's corner or, if that is full, into the room of
// its kind. It drops the line of a client that has had its share.
func (m *Log) putRefusal(client netip.Addr, e entry) {
	if !m.mayLog(client) {
		return
	}
	e.at = time.Now()
	select {
	case m.corners[m.corner(client)] <- e:
		m.wake()
	default:
		m.put(m.refusals, e)
	}
}

// corner returns the number of the corner for a client's lines. IPv6 clients share it by
// /64. The hash is keyed, so no client can choose its corner.
func (m *Log) corner(client netip.Addr) uint64 {
	octets := client.Unmap().As16()
	if client.Unmap().Is6() {
		clear(octets[8:])
	}
	return maphash.Bytes(m.seed, octets[:]) % corners
}

func (m *Log) put(room chan entry, e entry) {
	if e.at.IsZero() {
		e.at = time.Now()
	}
	select {
	case room <- e:
		m.wake()
	default:
		m.dropped.Add(1)
	}
}

// wake wakes the writer because lines wait.
func (m *Log) wake() {
	select {
	case m.waiting <- struct{}{}:
	default:
	}
}

// Close writes the lines that wait and ends the goroutine, unless the log's reader keeps
// it waiting for longer than Patience. Lines that come later are lost.
func (m *Log) Close() {
	m.closing.Do(func() { close(m.stop) })
	select {
	case <-m.stopped:
	case <-time.After(Patience):
	}
}

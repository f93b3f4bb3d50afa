package main

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

	"sluice/gateway/config"
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
	// journalTurn is how many lines of one room are written before those of another.
	journalTurn = 64
)

const (
	// journalPatience bounds the last writes: a reader of our standard error
	// that hangs must not keep the process from ending.
	journalPatience = time.Second
	// maxStack bounds what a panic writes.
	maxStack = 8 << 10
)

// journal writes the log. Whoever logs hands over a copy and never waits: one
// goroutine writes, and a line that finds no room is dropped and counted. Refusals
// are at info. Acceptances are at debug, because the event is their record; a log
// line for each would say the same again at the rate of the mail.
//
// Values from clients cannot forge a line: slog quotes whatever is not plain.
type journal struct {
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

// newJournal starts the journal's goroutine; Close ends it.
func newJournal(c config.LogConfig, w io.Writer) *journal {
	j := &journal{
		refusals:     make(chan entry, refusalRoom),
		accepted:     make(chan entry, acceptedRoom),
		notices:      make(chan entry, noticeRoom),
		waiting:      make(chan struct{}, 1),
		seed:         maphash.MakeSeed(),
		refusal:      c.Level <= slog.LevelInfo,
		acceptance:   c.Level <= slog.LevelDebug,
		acceptanceAt: slog.LevelDebug,
		warning:      c.Level <= slog.LevelWarn,
		shares:       newLogShares(),
		lines:        &lineWriter{to: w},
		stop:         make(chan struct{}),
		stopped:      make(chan struct{}),
	}
	for i := range j.corners {
		j.corners[i] = make(chan entry, cornerRoom)
	}
	options := &slog.HandlerOptions{Level: c.Level}
	handler := func(w io.Writer) slog.Handler {
		if c.Format == config.FormatJSON {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	}
	j.logger = slog.New(handler(formatted{j}))
	go j.run(handler(j.lines))
	return j
}

// ShowAccepted has acceptances written at info, for who tries Sluice on his own
// machine. It is called before the journal is used.
func (j *journal) ShowAccepted() { j.acceptance, j.acceptanceAt = j.refusal, slog.LevelInfo }

// Logger is for everything that is not the mail path. It never waits.
func (j *journal) Logger() *slog.Logger { return j.logger }

// Dropped returns the number of lines since the start that found no room, or that
// could not be written.
func (j *journal) Dropped() int64 { return j.dropped.Load() + j.lines.lost.Load() }

// Omitted returns the number of refusals and lost messages since the start that have no
// line because their session or their client had too many.
func (j *journal) Omitted() int64 { return j.omitted.Load() + j.left.Load() }

// Refused implements driver.MailLog.
func (j *journal) Refused(r *driver.Refusal) {
	j.left.Add(int64(r.LeftOut))
	if !j.refusal {
		return
	}
	j.putRefusal(r.Client.Addr(), entry{
		kind: refused, client: address(r.Client), helo: strings.Clone(r.Helo), mailFrom: string(r.MailFrom),
		to: string(r.To), verb: r.Verb, message: strings.Clone(r.Message), enhanced: r.Enhanced, cause: r.Cause,
		pressure: r.Pressure, code: r.Code, recipients: r.Recipients, leftOut: r.LeftOut, err: r.Err,
	})
}

// LeftOut implements driver.MailLog.
func (j *journal) LeftOut(client netip.AddrPort, lines int) {
	j.left.Add(int64(lines))
	if j.refusal {
		j.putRefusal(client.Addr(), entry{kind: leftOut, client: address(client), leftOut: lines})
	}
}

// Lost implements driver.MailLog.
func (j *journal) Lost(l *driver.Loss) {
	if !j.refusal {
		return
	}
	j.putRefusal(l.Client.Addr(), entry{
		kind: lost, client: address(l.Client), helo: strings.Clone(l.Helo), mailFrom: string(l.MailFrom),
		to: string(l.To), recipients: l.Recipients, message: strings.Clone(l.Message), octets: l.Octets,
		verb: l.Stage, cause: l.End,
	})
}

// Accepted implements driver.MailLog.
func (j *journal) Accepted(a *driver.Acceptance) {
	if !j.acceptance {
		return
	}
	j.put(j.accepted, entry{
		kind: accepted, client: address(a.Client), helo: strings.Clone(a.Helo), mailFrom: string(a.MailFrom),
		message: a.Message.ID.String(), recipients: a.Recipients, octets: a.Octets, seconds: a.Seconds,
	})
}

// LeftBehind is for s3.Options.LeftBehind, which is called on event loops too.
func (j *journal) LeftBehind(key string, err error) {
	if j.warning {
		j.put(j.notices, entry{kind: leftBehind, message: key, err: err})
	}
}

// PackSplit says why the object store refused a pack of so many messages.
func (j *journal) PackSplit(messages int, err error) {
	if j.warning {
		j.put(j.notices, entry{kind: packSplit, messages: messages, err: err})
	}
}

// Panicked implements driver.MailLog.
func (j *journal) Panicked(where string, reason any, stack []byte) {
	j.put(j.notices, entry{
		kind: panicked, verb: where, cause: fmt.Sprint(reason),
		message: string(stack[:min(len(stack), maxStack)]),
	})
}

// putRefusal puts a line into its client's corner or, when that is full, to the
// others of its kind, unless the client has had its share.
func (j *journal) putRefusal(client netip.Addr, e entry) {
	if !j.mayLog(client) {
		return
	}
	e.at = time.Now()
	select {
	case j.corners[j.corner(client)] <- e:
		j.wake()
	default:
		j.put(j.refusals, e)
	}
}

// corner returns the number of the corner of a client's lines. IPv6 clients have it
// by /64, and nobody can choose it.
func (j *journal) corner(client netip.Addr) uint64 {
	octets := client.Unmap().As16()
	if client.Unmap().Is6() {
		clear(octets[8:])
	}
	return maphash.Bytes(j.seed, octets[:]) % corners
}

func (j *journal) put(room chan entry, e entry) {
	if e.at.IsZero() {
		e.at = time.Now()
	}
	select {
	case room <- e:
		j.wake()
	default:
		j.dropped.Add(1)
	}
}

// wake tells the writer that there is something to write.
func (j *journal) wake() {
	select {
	case j.waiting <- struct{}{}:
	default:
	}
}

// Close writes what waits and ends the goroutine, unless the log's reader keeps it
// waiting for longer than journalPatience. What comes later is lost.
func (j *journal) Close() {
	j.closing.Do(func() { close(j.stop) })
	select {
	case <-j.stopped:
	case <-time.After(journalPatience):
	}
}

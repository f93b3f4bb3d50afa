package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/gateway/driver"
)

// The formats of the log.
const (
	formatText = "text" // key=value (slog.TextHandler)
	formatJSON = "json" // one object a line
)

const (
	// journalRoom is how many lines wait for the writer: about 1 MB, and more
	// than a burst of refusals between two of its writes.
	journalRoom = 4096
	// journalBatch is how many octets are written at once when lines wait.
	journalBatch = 64 << 10
	// journalPatience bounds the last writes: a reader of our standard error
	// that hangs must not keep the process from ending.
	journalPatience = 5 * time.Second
	// maxStack bounds what a panic writes.
	maxStack = 8 << 10
)

// journal writes the log lines of the mail path. Event loops hand it a copy and
// never wait: one goroutine formats and writes, and a line that finds no room
// is dropped and counted. Refusals are at info. Acceptances are at debug,
// because the event is their record; a log line for each would say the same
// again at the rate of the mail.
//
// Values from clients cannot forge a line: slog quotes whatever is not plain.
type journal struct {
	entries    chan entry
	acceptance bool // the level is debug
	refusal    bool // the level is info or debug
	warning    bool // the level is not error
	dropped    atomic.Int64
	lines      *lineWriter
	logger     *slog.Logger

	closing sync.Once
	stop    chan struct{}
	stopped chan struct{}
}

// entry is one line before it is formatted: plain values, owned.
type entry struct {
	at   time.Time
	kind entryKind

	client     string
	helo       string
	mailFrom   string
	verb       string
	message    string
	enhanced   string
	cause      string
	pressure   string
	err        error
	code       int
	recipients int
	messages   int
	octets     int64
	seconds    float64
}

type entryKind uint8

const (
	refused entryKind = iota
	accepted
	leftBehind
	packSplit
	panicked
)

// newJournal starts the journal's goroutine; Close ends it.
func newJournal(c LogConfig, w io.Writer) *journal {
	j := &journal{
		entries:    make(chan entry, journalRoom),
		refusal:    c.Level <= slog.LevelInfo,
		acceptance: c.Level <= slog.LevelDebug,
		warning:    c.Level <= slog.LevelWarn,
		lines:      &lineWriter{to: w},
		stop:       make(chan struct{}),
		stopped:    make(chan struct{}),
	}
	options := &slog.HandlerOptions{Level: c.Level}
	handler := func(w io.Writer) slog.Handler {
		if c.Format == formatJSON {
			return slog.NewJSONHandler(w, options)
		}
		return slog.NewTextHandler(w, options)
	}
	j.logger = slog.New(handler(flushed{j.lines}))
	go j.run(handler(j.lines))
	return j
}

// Logger is for everything that is not the mail path. It writes at once, and
// may block: it is not for event loops.
func (j *journal) Logger() *slog.Logger { return j.logger }

// Dropped is the number of lines that found no room since the start.
func (j *journal) Dropped() int64 { return j.dropped.Load() }

// Refused implements driver.Journal.
func (j *journal) Refused(r *driver.Refusal) {
	if !j.refusal {
		return
	}
	j.put(entry{
		kind: refused, client: address(r.Client), helo: strings.Clone(r.Helo), mailFrom: string(r.MailFrom),
		verb: r.Verb, message: strings.Clone(r.Message), enhanced: r.Enhanced, cause: r.Cause, pressure: r.Pressure,
		code: r.Code, err: r.Err,
	})
}

// Accepted implements driver.Journal.
func (j *journal) Accepted(a *driver.Acceptance) {
	if !j.acceptance {
		return
	}
	j.put(entry{
		kind: accepted, client: address(a.Client), helo: strings.Clone(a.Helo), mailFrom: string(a.MailFrom),
		message: a.Message.ID.String(), recipients: a.Recipients, octets: a.Octets, seconds: a.Seconds,
	})
}

// LeftBehind is for s3.Options.LeftBehind, which is called on event loops too.
func (j *journal) LeftBehind(key string, err error) {
	if j.warning {
		j.put(entry{kind: leftBehind, message: key, err: err})
	}
}

// PackSplit says why the object store refused a pack of so many messages.
func (j *journal) PackSplit(messages int, err error) {
	if j.warning {
		j.put(entry{kind: packSplit, messages: messages, err: err})
	}
}

// Panicked implements driver.Journal.
func (j *journal) Panicked(where string, reason any, stack []byte) {
	j.put(entry{
		kind: panicked, verb: where, cause: fmt.Sprint(reason),
		message: string(stack[:min(len(stack), maxStack)]),
	})
}

func (j *journal) put(e entry) {
	e.at = time.Now()
	select {
	case j.entries <- e:
	default:
		j.dropped.Add(1)
	}
}

// Close writes what waits and ends the goroutine. What comes later is lost or
// counted as dropped; the loops have ended by then.
func (j *journal) Close() error {
	j.closing.Do(func() { close(j.stop) })
	select {
	case <-j.stopped:
		return j.lines.flush()
	case <-time.After(journalPatience):
		return fmt.Errorf("the log was not written within %s", journalPatience)
	}
}

func (j *journal) run(to slog.Handler) {
	defer close(j.stopped)
	var reported int64
	for {
		select {
		case e := <-j.entries:
			j.write(to, e)
		case <-j.stop:
			for range len(j.entries) {
				j.write(to, <-j.entries)
			}
			j.report(to, &reported)
			return
		}
		if len(j.entries) == 0 {
			j.report(to, &reported)
			_ = j.lines.flush() // there is nowhere to say that the log cannot be written
		}
	}
}

// report says how many lines were dropped, once the burst is over.
func (j *journal) report(to slog.Handler, reported *int64) {
	dropped := j.dropped.Load()
	if dropped == *reported {
		return
	}
	record := slog.NewRecord(time.Now(), slog.LevelWarn, "log lines dropped", 0)
	record.AddAttrs(slog.Int64("lines", dropped-*reported), slog.Int64("since_start", dropped))
	*reported = dropped
	_ = to.Handle(context.Background(), record)
}

func (j *journal) write(to slog.Handler, e entry) {
	var record slog.Record
	switch e.kind {
	case refused:
		record = slog.NewRecord(e.at, slog.LevelInfo, "refused", 0)
		record.AddAttrs(
			slog.String("cause", e.cause), slog.Int("code", e.code), slog.String("enhanced", e.enhanced),
			slog.String("client", e.client), slog.String("helo", e.helo), slog.String("verb", e.verb),
			slog.String("from", e.mailFrom))
		if e.pressure != "" {
			record.AddAttrs(slog.String("pressure", e.pressure))
		}
		if e.message != "" {
			record.AddAttrs(slog.String("id", e.message))
		}
		if e.err != nil {
			record.AddAttrs(slog.String("err", e.err.Error()))
		}
	case accepted:
		record = slog.NewRecord(e.at, slog.LevelDebug, "accepted", 0)
		record.AddAttrs(
			slog.String("id", e.message), slog.String("client", e.client), slog.String("helo", e.helo),
			slog.String("from", e.mailFrom), slog.Int("recipients", e.recipients),
			slog.Int64("octets", e.octets), slog.Float64("seconds", e.seconds))
	case leftBehind:
		record = slog.NewRecord(e.at, slog.LevelWarn, "something of a failed message stays in the bucket", 0)
		record.AddAttrs(slog.String("key", e.message), slog.String("err", e.err.Error()))
	case packSplit:
		record = slog.NewRecord(e.at, slog.LevelWarn, "the store refused a pack: its messages go one by one", 0)
		record.AddAttrs(slog.Int("messages", e.messages), slog.String("err", e.err.Error()))
	default:
		record = slog.NewRecord(e.at, slog.LevelError, "panicked", 0)
		record.AddAttrs(slog.String("where", e.verb), slog.String("reason", e.cause), slog.String("stack", e.message))
	}
	_ = to.Handle(context.Background(), record)
}

// address is empty where there is none, rather than "invalid AddrPort".
func address(a interface {
	IsValid() bool
	String() string
}) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// lineWriter gathers whole lines, so that many cost one write. slog's handlers
// write a line at a time.
type lineWriter struct {
	mu   sync.Mutex
	to   io.Writer
	held bytes.Buffer
}

// Write implements io.Writer.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held.Write(line)
	if l.held.Len() < journalBatch {
		return len(line), nil
	}
	return len(line), l.drain()
}

func (l *lineWriter) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drain()
}

func (l *lineWriter) drain() error {
	_, err := l.held.WriteTo(l.to)
	l.held.Reset() // what could not be written is not kept: it would only grow
	return err
}

// flushed writes each line at once.
type flushed struct{ lines *lineWriter }

// Write implements io.Writer.
func (f flushed) Write(line []byte) (int, error) {
	if _, err := f.lines.Write(line); err != nil {
		return 0, err
	}
	return len(line), f.lines.flush()
}

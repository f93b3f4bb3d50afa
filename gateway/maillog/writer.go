package maillog

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"sluice/internal/panics"
)

// batchBytes is the number of bytes that are written at once when lines wait.
const batchBytes = 64 << 10

// reportEvery is the interval at which missing lines are reported, and at which the
// quotas of clients are renewed.
const reportEvery = time.Second

// run writes lines until Close. Only this goroutine waits for the log's reader.
func (m *Log) run(to slog.Handler) {
	second := time.NewTicker(reportEvery)
	defer second.Stop()
	linger := time.NewTimer(0) // for more messages
	defer linger.Stop()
	var reported missing
	var at time.Time
	for last := false; !last; {
		select {
		case <-m.waiting:
		case <-m.messages.begun:
			linger.Reset(messageLinger)
			continue
		case <-linger.C:
		case <-m.messages.filled:
		case <-second.C: // not while lines wait: a client would get a new quota each second
			m.quota.renew()
			m.logins.renew()
		case <-m.stop:
			last = true
		}
		m.messages.drain(m.lines.writeLines)
		for batch := m.collect(nil); len(batch) > 0; batch = m.collect(batch[:0]) {
			m.write(to, batch)
		}
		if now := time.Now(); last || now.Sub(at) >= reportEvery {
			at = now
			m.report(to, &reported)
		}
		m.lines.flush()
	}
}

// collect appends some lines of each queue to batch.
func (m *Log) collect(batch []entry) []entry {
	batch = take(batch, m.notices)
	for _, shard := range m.shards {
		batch = take(batch, shard)
	}
	return take(batch, m.refusals)
}

func take(batch []entry, queue <-chan entry) []entry {
	for range batchLines {
		select {
		case e := <-queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// write writes lines in the order of their times.
func (m *Log) write(to slog.Handler, batch []entry) {
	slices.SortStableFunc(batch, func(a, b entry) int { return a.at.Compare(b.at) })
	for i := range batch {
		if panics.Try(panics.MailLog, func() error { return m.writeLine(to, &batch[i]) }) != nil {
			m.dropped.Add(1)
		}
	}
}

func (m *Log) writeLine(to slog.Handler, e *entry) error {
	if e.kind == formatted {
		_, _ = m.lines.Write([]byte(e.message))
	} else {
		_ = to.Handle(context.Background(), e.record())
	}
	return nil
}

// missing holds the numbers of missing lines that were reported so far.
type missing struct{ dropped, omitted, behind, splits int64 }

// report logs the number of lines dropped or left out since the last report.
func (m *Log) report(to slog.Handler, reported *missing) {
	say := func(text string, all int64, before *int64) {
		if all == *before {
			return
		}
		record := slog.NewRecord(time.Now(), slog.LevelWarn, text, 0)
		record.AddAttrs(slog.Int64("lines", all-*before), slog.Int64("since_start", all))
		*before = all
		_ = to.Handle(context.Background(), record)
	}
	say("log lines dropped", m.dropped.Load(), &reported.dropped)
	say("log lines of clients with too many left out", m.omitted.Load(), &reported.omitted)
	say("warnings about objects and uploads left in the bucket left out", m.behind.omitted.Load(), &reported.behind)
	say("warnings about packs that the store refused left out", m.splits.omitted.Load(), &reported.splits)
}

// lineWriter buffers whole lines, so that many of them are one write. slog's handlers
// write a line at a time. It belongs to the goroutine of Log, except for lost.
type lineWriter struct {
	to    io.Writer
	held  bytes.Buffer
	lines int64
	lost  atomic.Int64 // lines that could not be written
}

// Write implements io.Writer. It does not fail.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.writeLines(line, 1)
	return len(line), nil
}

// writeLines buffers several lines.
func (l *lineWriter) writeLines(text []byte, lines int64) {
	l.held.Write(text)
	l.lines += lines
	if l.held.Len() >= batchBytes {
		l.flush()
	}
}

// flush writes the buffered lines. Lines that cannot be written are lost and counted:
// there is nowhere to report them, and a buffer that kept them would only grow.
func (l *lineWriter) flush() {
	err := panics.Try(panics.MailLog, func() error {
		_, err := l.held.WriteTo(l.to)
		return err
	})
	if err != nil {
		l.lost.Add(l.lines)
	}
	l.held.Reset()
	l.lines = 0
}

// loggerLines queues the formatted lines of Logger.
type loggerLines struct{ m *Log }

// Write implements io.Writer. It does not fail.
func (f loggerLines) Write(line []byte) (int, error) {
	f.m.put(f.m.notices, entry{kind: formatted, message: string(line)})
	return len(line), nil
}

package maillog

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// batchBytes is the number of bytes that are written at once when lines wait.
const batchBytes = 64 << 10

// reportEvery is the interval at which missing lines are reported, and at which clients
// get their share of the log anew.
const reportEvery = time.Second

// run writes lines until Close. It is the only one that waits for the log's reader.
func (m *Log) run(to slog.Handler) {
	defer close(m.stopped)
	second := time.NewTicker(reportEvery)
	defer second.Stop()
	var reported missing
	var at time.Time
	for last := false; !last; {
		select {
		case <-m.waiting:
		case <-second.C: // not while lines wait: else clients had a share of the room each second
			m.shares.renew()
		case <-m.stop:
			last = true
		}
		for turn := m.collect(nil); len(turn) > 0; turn = m.collect(turn[:0]) {
			m.write(to, turn)
		}
		if now := time.Now(); last || now.Sub(at) >= reportEvery {
			at = now
			m.report(to, &reported)
		}
		m.lines.flush()
	}
}

// collect takes some lines of each room.
func (m *Log) collect(turn []entry) []entry {
	turn = take(turn, m.notices)
	for _, corner := range m.corners {
		turn = take(turn, corner)
	}
	return take(take(turn, m.refusals), m.accepted)
}

func take(turn []entry, room <-chan entry) []entry {
	for range turnLines {
		select {
		case e := <-room:
			turn = append(turn, e)
		default:
			return turn
		}
	}
	return turn
}

// write writes lines in the order of their times.
func (m *Log) write(to slog.Handler, turn []entry) {
	slices.SortStableFunc(turn, func(a, b entry) int { return a.at.Compare(b.at) })
	for i := range turn {
		if e := &turn[i]; e.kind == ready {
			_, _ = m.lines.Write([]byte(e.message))
		} else {
			_ = to.Handle(context.Background(), e.record(m.acceptanceAt))
		}
	}
}

// missing are the numbers of missing lines that were reported so far.
type missing struct{ dropped, omitted int64 }

// report logs how many lines were dropped or left out since the last report.
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
}

// lineWriter gathers whole lines, so that many cost one write. slog's handlers
// write a line at a time. It belongs to the goroutine of Log, but for lost.
type lineWriter struct {
	to    io.Writer
	held  bytes.Buffer
	lines int64
	lost  atomic.Int64 // lines that could not be written
}

// Write implements io.Writer. It does not fail.
func (l *lineWriter) Write(line []byte) (int, error) {
	l.held.Write(line)
	l.lines++
	if l.held.Len() >= batchBytes {
		l.flush()
	}
	return len(line), nil
}

// flush writes the lines that are held. Lines that cannot be written are lost and
// counted: there is nowhere to report them, and if kept they would only grow.
func (l *lineWriter) flush() {
	if _, err := l.held.WriteTo(l.to); err != nil {
		l.lost.Add(l.lines)
	}
	l.held.Reset()
	l.lines = 0
}

// formatted takes the formatted lines of Logger.
type formatted struct{ m *Log }

// Write implements io.Writer. It does not fail.
func (f formatted) Write(line []byte) (int, error) {
	f.m.put(f.m.notices, entry{kind: ready, message: string(line)})
	return len(line), nil
}

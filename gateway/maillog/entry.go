package maillog

import (
	"log/slog"
	"time"
)

// entry is one log line before it is formatted. It owns its values.
type entry struct {
	at   time.Time
	kind entryKind

	session    string
	client     string
	helo       string
	mailFrom   string
	to         string
	verb       string
	message    string
	enhanced   string
	cause      string
	pressure   string
	user       string // who has authenticated or wants to; the next three are of AUTH too
	mechanism  string
	backend    string
	reason     string
	err        error
	code       int
	recipients int
	messages   int
	leftOut    int
	octets     int64
}

type entryKind uint8

const (
	refused entryKind = iota
	lost
	loggedIn
	leftOut
	overQuota
	leftBehind
	packSplit
	panicked
	formatted // a line of Logger, in message
)

// record returns the log record of an entry.
func (e *entry) record() slog.Record {
	switch e.kind {
	case refused:
		return e.refusal()
	case lost:
		record := e.line(slog.LevelInfo, "message lost: its session ended before the answer",
			slog.String("cause", e.cause), slog.String("stage", e.verb), slog.String("session", e.session),
			slog.String("client", e.client), slog.String("helo", e.helo), slog.String("from", e.mailFrom), slog.String("to", e.to),
			slog.Int("recipients", e.recipients), slog.String("id", e.message), slog.Int64("octets", e.octets))
		e.addUser(&record)
		return record
	case loggedIn:
		record := e.line(slog.LevelInfo, "authenticated",
			slog.String("session", e.session), slog.String("client", e.client), slog.String("helo", e.helo))
		e.addUser(&record)
		if e.cause != "" {
			record.AddAttrs(slog.String("cause", e.cause))
		}
		return record
	case leftOut:
		return e.line(slog.LevelInfo, "log lines of a session left out",
			slog.Int("lines", e.leftOut), slog.String("session", e.session), slog.String("client", e.client))
	case overQuota:
		return e.line(slog.LevelInfo, "further lines about this client are left out for a second",
			slog.String("client", e.client), slog.Int("lines", e.leftOut))
	case leftBehind:
		return e.line(slog.LevelWarn, "failed message left an object or upload in the bucket",
			slog.String("key", e.message), slog.String("err", e.err.Error()))
	case packSplit:
		return e.line(slog.LevelWarn, "the store refused a pack: its messages go one by one",
			slog.Int("messages", e.messages), slog.String("err", e.err.Error()))
	default:
		record := e.line(slog.LevelError, "panicked", slog.String("where", e.verb))
		if e.session != "" {
			record.AddAttrs(slog.String("session", e.session))
		}
		record.AddAttrs(slog.String("reason", e.cause), slog.String("stack", e.message))
		return record
	}
}

func (e *entry) line(level slog.Level, text string, values ...slog.Attr) slog.Record {
	record := slog.NewRecord(e.at, level, text, 0)
	record.AddAttrs(values...)
	return record
}

func (e *entry) refusal() slog.Record {
	record := e.line(slog.LevelInfo, "refused", slog.String("cause", e.cause))
	if e.code != 0 { // else the connection was closed without a reply
		record.AddAttrs(slog.Int("code", e.code), slog.String("enhanced", e.enhanced))
	}
	record.AddAttrs(slog.String("session", e.session), slog.String("client", e.client), slog.String("helo", e.helo),
		slog.String("verb", e.verb), slog.String("from", e.mailFrom))
	if e.to != "" {
		record.AddAttrs(slog.String("to", e.to))
	}
	if e.recipients > 1 {
		record.AddAttrs(slog.Int("recipients", e.recipients))
	}
	e.addUser(&record)
	if e.pressure != "" {
		record.AddAttrs(slog.String("pressure", e.pressure))
	}
	if e.message != "" {
		record.AddAttrs(slog.String("id", e.message))
	}
	if e.err != nil {
		record.AddAttrs(slog.String("err", e.err.Error()))
	}
	if e.leftOut > 0 {
		record.AddAttrs(slog.Int("left_out", e.leftOut))
	}
	return record
}

// addUser adds what is known of who has authenticated or wants to.
func (e *entry) addUser(record *slog.Record) {
	for _, field := range []struct{ name, value string }{
		{"user", e.user}, {"mechanism", e.mechanism}, {"backend", e.backend}, {"reason", e.reason},
	} {
		if field.value != "" {
			record.AddAttrs(slog.String(field.name, field.value))
		}
	}
}

// address returns a as text, or "" if it is invalid, instead of "invalid AddrPort".
func address(a interface {
	IsValid() bool
	String() string
}) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

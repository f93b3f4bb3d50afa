package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// refusal is why the broker refused events that it could not write, and when.
type refusal struct {
	why error
	at  time.Time
}

// Refusal returns why the broker last refused an event that it could not write, such as a
// full disk, and when; nil if it has not. Nothing of such an event stays. But when
// its producer has no answer and tries again, kfake takes the second attempt for one that
// it has written: what succeeds after it was in flight at that time may not be there.
func (b *Broker) Refusal() (at time.Time, why error) {
	if last := b.refusal.Load(); last != nil {
		return last.at, last.why
	}
	return time.Time{}, nil
}

// logger passes kfake's log lines on to slog. kfake answers an event that it could not
// write by UNKNOWN_SERVER_ERROR, and says why by such a line alone, before it answers.
type logger struct {
	to      *slog.Logger
	refusal *atomic.Pointer[refusal]
}

var levels = map[kfake.LogLevel]slog.Level{
	kfake.LogLevelError: slog.LevelError,
	kfake.LogLevelWarn:  slog.LevelWarn,
}

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to, ok := levels[level]
	if !ok {
		return // info and debug lines are about internals
	}
	if strings.HasPrefix(format, "persist batch ") {
		for _, arg := range args {
			if err, is := arg.(error); is {
				l.refusal.Store(&refusal{err, time.Now()})
				return // the line of each message that fails for it says so
			}
		}
	}
	l.to.Log(context.Background(), to, fmt.Sprintf("embedded kafka: "+format, args...))
}

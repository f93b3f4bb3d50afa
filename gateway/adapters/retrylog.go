package adapters

import (
	"log/slog"
	"sync/atomic"
	"time"

	"sluice/pipeline/s3"
)

// RetryCauses returns the causes of a further attempt at a request to the store.
func RetryCauses() []string { return s3.RetryCauses }

// retryLogEvery is the time between two log lines on retries of one cause.
const retryLogEvery = time.Minute

// retryLog counts further attempts at requests to the store. It logs when they begin, and
// then one of each cause a minute.
type retryLog struct {
	count  func(cause string)
	logger *slog.Logger
	began  time.Time
	next   map[string]*atomic.Int64 // by cause: when the next line may come, since began
}

func newRetryLog(d Deps) *retryLog {
	l := &retryLog{
		count: d.Retried, logger: d.MailLog.Logger(), began: time.Now(),
		next: make(map[string]*atomic.Int64, len(s3.RetryCauses)),
	}
	for _, cause := range s3.RetryCauses {
		l.next[cause] = &atomic.Int64{}
	}
	return l
}

func (l *retryLog) retried(cause string, err error) {
	if l.count != nil {
		l.count(cause)
	}
	now, next := time.Since(l.began), l.next[cause]
	due := next.Load()
	if int64(now) < due || !next.CompareAndSwap(due, int64(now+retryLogEvery)) {
		return
	}
	l.logger.Warn("requests to the object store are tried again", "cause", cause, "err", err)
}

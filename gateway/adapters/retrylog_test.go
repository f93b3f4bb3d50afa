package adapters

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway/maillog"
	"sluice/internal/testkit"
	"sluice/pipeline/s3"
)

// TestRetryLog checks that retries are all counted, and that each cause has its line when
// it begins and then one a minute.
func TestRetryLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines testkit.Buffer
		log := maillog.New(maillog.Options{}, &lines)
		counted := 0
		l := newRetryLog(Deps{MailLog: log, Retried: func(string) { counted++ }})
		for range 125 { // seconds
			for _, cause := range s3.RetryCauses {
				l.retried(cause, errors.New("by the test"))
			}
			time.Sleep(time.Second)
		}
		log.Close()
		if want := 125 * len(s3.RetryCauses); counted != want {
			t.Errorf("%d counted, want %d", counted, want)
		}
		for _, cause := range s3.RetryCauses {
			if n := strings.Count(lines.String(), "cause="+cause); n != 3 {
				t.Errorf("%d lines on %s in two minutes, want 3", n, cause)
			}
		}
	})
}

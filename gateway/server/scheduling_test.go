package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sluice/gateway/config"
)

// TestSchedulingRefused checks that a refusal by the system is logged with its cause
// after one attempt, and that inherit makes no attempt.
func TestSchedulingRefused(t *testing.T) {
	var log bytes.Buffer
	asked := 0
	refuse := func() error { asked++; return errors.New("operation not permitted") }
	for _, scheduling := range []string{config.SchedulingInherit, config.SchedulingBatch} {
		schedule(scheduling, refuse, slog.New(slog.NewTextHandler(&log, nil)))
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	for _, want := range []string{"level=WARN", "process.scheduling", "operation not permitted", "inherit"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in %q", want, log.String())
		}
	}
}

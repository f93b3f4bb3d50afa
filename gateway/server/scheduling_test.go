package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"sluice/gateway/config"
)

// TestSchedulingRefused: a system that refuses it is warned of, with its cause, once
// asked; nobody asks it for inherit.
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

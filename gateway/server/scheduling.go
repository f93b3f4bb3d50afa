package server

import (
	"log/slog"

	"sluice/gateway/config"
)

// schedule makes the process one that works in batches, unless it is told to stay
// as it was started. A system that refuses it costs processor time, not mail.
func schedule(scheduling string, batch func() error, log *slog.Logger) {
	if scheduling != config.SchedulingBatch {
		return
	}
	if err := batch(); err != nil {
		log.Warn("the system does not allow process.scheduling: batch; set inherit to go without", "err", err)
	}
}

package server

import (
	"log/slog"

	"sluice/gateway/config"
)

// schedule puts the process into the batch scheduling class, unless the configuration
// says to inherit the class. A system that refuses it costs CPU time, not mail.
func schedule(scheduling string, batch func() error, log *slog.Logger) {
	if scheduling != config.SchedulingBatch {
		return
	}
	if err := batch(); err != nil {
		log.Warn("the system does not allow process.scheduling: batch; set inherit to go without", "err", err)
	}
}

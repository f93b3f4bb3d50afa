package main

// schedule makes the process one that works in batches, unless it is told to stay
// as it was started. A system that refuses it costs processor time, not mail.
func (p *Program) schedule() {
	if p.config.Process.Scheduling != schedulingBatch {
		return
	}
	if err := batchThreads(); err != nil {
		p.journal.Logger().Warn("the system does not allow process.scheduling: batch; set inherit to go without", "err", err)
	}
}

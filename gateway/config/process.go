package config

// Choices of process.scheduling.
const (
	SchedulingBatch   = "batch"
	SchedulingInherit = "inherit"
)

// ProcessConfig is how the operating system runs the process.
type ProcessConfig struct {
	Scheduling string // batch or inherit
}

// processKeys are the keys of the section process.
var processKeys = []key{
	{"process.scheduling", func(c *Config) value {
		return choice{&c.Process.Scheduling, []string{SchedulingBatch, SchedulingInherit}, nil}
	},
		"batch (threads that wake up do not interrupt others, sched(7)) or inherit (as it was started)", "batch"},
}

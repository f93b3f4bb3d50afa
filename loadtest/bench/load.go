package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"sluice/loadtest/process"
)

// Load is what smtp-source is asked to send.
type Load struct {
	Messages int `json:"messages"`
	Sessions int `json:"sessions"`
	Size     int `json:"size"` // bytes of body
	// File is the mail to send, with lines that end in LF, in place of Size.
	File string `json:"-"`
}

// Mode says how connections are used.
type Mode string

// Reused sends message after message in each session; Single opens a connection
// for each message.
const (
	Reused Mode = "reused"
	Single Mode = "single"
)

var modes = []Mode{Reused, Single}

// Sample is one measurement.
type Sample struct {
	Seconds float64 `json:"seconds"`     // wall clock, start to end of smtp-source
	CPU     float64 `json:"cpu_seconds"` // of the server, user and system
	Rate    float64 `json:"messages_per_second"`
	CPU10k  float64 `json:"cpu_seconds_per_10000"`
	// Store10k is that of the object store behind it, where it is one.
	Store10k float64 `json:"store_cpu_seconds_per_10000,omitempty"`
}

// send runs smtp-source to its end.
func (l Load) send(ctx context.Context, mode Mode, address string) error {
	args := []string{
		"-s", strconv.Itoa(l.Sessions), "-m", strconv.Itoa(l.Messages),
	}
	if l.File != "" {
		args = append(args, "-F", l.File, "-M", "client.example.org", "-f", "sender@"+domainOf(0), "-t", "recipient@example.net")
	} else {
		args = append(args, "-l", strconv.Itoa(l.Size), "-f", "sender@example.org", "-t", "recipient@example.net")
	}
	if mode == Reused {
		args = append(args, "-d")
	}
	out, err := exec.CommandContext(ctx, "smtp-source", append(args, address)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("smtp-source to %s: %w\n%s", address, err, out)
	}
	return nil
}

// measure sends the load and reads the server's CPU time before and after.
func (l Load) measure(ctx context.Context, mode Mode, p *process.Process, address string) (Sample, error) {
	before, err := p.CPU()
	if err != nil {
		return Sample{}, err
	}
	began := time.Now()
	if err := l.send(ctx, mode, address); err != nil {
		return Sample{}, fmt.Errorf("%w\nthe server said:\n%s", err, p.Output())
	}
	took := time.Since(began)
	after, err := p.CPU()
	if err != nil {
		return Sample{}, err
	}
	return newSample(l.Messages, took, after-before), nil
}

// newSample is of so many messages that took so long and so much CPU time.
func newSample(messages int, took, used time.Duration) Sample {
	return Sample{
		Seconds: took.Seconds(),
		CPU:     used.Seconds(),
		Rate:    float64(messages) / took.Seconds(),
		CPU10k:  used.Seconds() / float64(messages) * 10000,
	}
}

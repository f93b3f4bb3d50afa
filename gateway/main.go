// Command sluice is an event-loop SMTP gateway: it streams every message into an object
// store, publishes one event for it, and answers 250 only when both are durable.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"sluice/gateway/maillog"
	"sluice/gateway/server"
	"sluice/internal/panics"
)

// Exit codes. For those above 1, a retry without a change is of no use.
const (
	exitOK      = 0
	exitFailure = 1  // it ran, or tried to, and failed; also: healthcheck found it not ready
	exitUsage   = 2  // wrong command line
	exitFail    = 3  // verify: the mail is not of its author's domain (dmarc=fail)
	exitNothing = 3  // find, show, export, dlq: there is none
	exitNone    = 4  // verify: nobody says (dmarc=none)
	exitTemp    = 5  // verify: nobody knows for now (dmarc=temperror)
	exitPerm    = 6  // verify: the mail has no one author (dmarc=permerror)
	exitConfig  = 78 // invalid configuration (EX_CONFIG of sysexits.h)
)

func main() {
	os.Exit(app{env: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr, serve: serve}.run(os.Args[1:]))
}

// app holds the environment, input and outputs of commands, so that tests run them
// in-process.
type app struct {
	env   []string
	in    *os.File
	out   io.Writer
	err   io.Writer
	serve func(context.Context, server.Options) error
}

// jsonLine returns the error with which a gateway ended, for readers of a log in JSON.
func jsonLine(err error) string {
	var line strings.Builder
	slog.New(slog.NewJSONHandler(&line, nil)).Error("ended", "err", err.Error())
	return line.String()
}

// say writes a final line. It does not wait long for a reader that stands still.
func say(to io.Writer, text string) {
	said := make(chan struct{})
	go func() {
		defer panics.Recover(panics.Process, nil)
		_, _ = io.WriteString(to, text) // there is nowhere else to say it
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(maillog.Patience):
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/pipeline"
)

// dlqListFlags are those of dlq list.
type dlqListFlags struct {
	JSON bool `name:"json" help:"Print JSON, one event a line."`
}

// letterLine is a dead letter as dlq list --json prints it.
type letterLine struct {
	ID        string    `json:"id"` // of the message, empty for what is no event
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Replayed  int       `json:"replayed"` // how often it was
	Cut       bool      `json:"cut"`      // it was too large, and is not replayed
	Event     string    `json:"event"`
}

func newLetterLine(l *adapters.DeadLetter) letterLine {
	line := letterLine{
		At: l.At, Reason: l.Reason, Topic: l.Record.Topic, Partition: l.Record.Partition, Offset: l.Record.Offset,
		Replayed: l.Replayed, Cut: l.Cut, Event: string(l.Record.Value),
	}
	if id, err := pipeline.ParseID(string(l.Record.Key)); err == nil {
		line.ID = id.String()
	}
	return line
}

// dlqTime bounds what is done with dead letters.
const dlqTime = 10 * time.Minute

// dlqList prints the dead letters, and returns the exit code.
func (a app) dlqList(ctx context.Context, c *config.Config, flags *dlqListFlags) (int, error) {
	letters, err := adapters.OpenDeadLetters(c)
	if err != nil {
		return 0, err
	}
	defer letters.Close()
	ctx, cancel := context.WithTimeout(ctx, dlqTime)
	defer cancel()
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	n := 0
	err = letters.Each(ctx, func(l *adapters.DeadLetter) error {
		n++
		line := newLetterLine(l)
		if flags.JSON {
			return printJSON(a.out, line)
		}
		if n == 1 {
			fmt.Fprintln(table, "SINCE\tID\tPARTITION\tOFFSET\tREPLAYED\tREASON")
		}
		_, err := fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\n", l.At.UTC().Format("2006-01-02T15:04:05Z"), line.ID,
			l.Record.Partition, l.Record.Offset, l.Replayed, printable(l.Reason))
		return err
	})
	if err = errors.Join(err, table.Flush()); err != nil {
		return 0, err
	}
	if n == 0 {
		say(a.err, "sluice: there are no dead letters\n")
		return exitNothing, nil
	}
	return exitOK, nil
}

// dlqReplay publishes dead letters again, and returns the exit code.
func (a app) dlqReplay(ctx context.Context, c *config.Config) (int, error) {
	letters, err := adapters.OpenDeadLetters(c)
	if err != nil {
		return 0, err
	}
	defer letters.Close()
	ctx, cancel := context.WithTimeout(ctx, dlqTime)
	defer cancel()
	replayed, err := letters.Replay(ctx, func(*adapters.DeadLetter) bool { return true })
	say(a.err, fmt.Sprintf("sluice: %d events published again\n", replayed))
	if err == nil && replayed == 0 {
		return exitNothing, nil
	}
	return exitOK, err
}

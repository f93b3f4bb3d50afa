package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"sluice/gateway/config"
	"sluice/index"
)

// findFlags are those of find.
type findFlags struct {
	searchFlags
	JSON bool `name:"json" help:"Print JSON, one message a line."`
}

// find prints the messages that are found, the newest first, and returns the exit code.
func (a app) find(ctx context.Context, c *config.Config, flags *findFlags) (int, error) {
	q, err := flags.query(time.Now())
	if err != nil {
		return 0, err
	}
	store, err := openIndex(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }() // it was only read
	page, err := findPage(ctx, store, q)
	if err != nil {
		return 0, err
	}
	if len(page.Messages) == 0 {
		say(a.err, "sluice: no message was found\n")
		return exitNothing, nil
	}
	if flags.JSON {
		for _, m := range page.Messages {
			if err := printJSON(a.out, m); err != nil {
				return 0, err
			}
		}
	} else if err := printFound(a.out, page.Messages); err != nil {
		return 0, err
	}
	if page.Cursor != "" {
		say(a.err, "sluice: there are more: --cursor "+page.Cursor+"\n")
	}
	return exitOK, nil
}

// printFound prints messages as a table, on a terminal with texts cut.
func printFound(w io.Writer, messages []*index.Message) error {
	short := func(text string, _ int) string { return printable(text) }
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		short = func(text string, most int) string { return cutText(printable(text), most) }
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RECEIVED\tID\tFROM\tTO\tSUBJECT\tATTACHMENTS")
	for _, m := range messages {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", m.ReceivedAt.UTC().Format("2006-01-02T15:04:05Z"), m.ID,
			short(sender(m), 40), short(strings.Join(m.RcptTo, ","), 40), short(m.Header.Subject.Text, 50), short(strings.Join(attachments(m), ", "), 60))
	}
	return table.Flush()
}

// sender returns who has sent a message, as its reader sees it.
func sender(m *index.Message) string {
	if len(m.Header.From) > 0 {
		return m.Header.From[0].Address
	}
	return "<" + m.MailFrom + ">"
}

// attachments returns the names of the parts that have one.
func attachments(m *index.Message) (names []string) {
	for i := range m.Parts {
		if name := m.Parts[i].Name.Text; name != "" {
			names = append(names, name)
		}
	}
	return names
}

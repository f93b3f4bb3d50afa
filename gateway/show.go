package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/gateway/config"
	"sluice/index"
	"sluice/pipeline"
)

// showFlags are those of show.
type showFlags struct {
	ID   string `arg:"" help:"A message's id."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// show prints what the index has of one message, and returns the exit code.
func (a app) show(ctx context.Context, c *config.Config, flags *showFlags) (int, error) {
	id, err := pipeline.ParseID(flags.ID)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is not the id of a message", printable(flags.ID))}
	}
	store, err := openIndex(ctx, c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = store.Close() }() // it was only read
	ctx, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	m, err := store.Get(ctx, id)
	switch {
	case errors.Is(err, index.ErrNotFound):
		say(a.err, "sluice: no message "+id.String()+" in the index\n")
		return exitNothing, nil
	case err != nil:
		return 0, err
	case flags.JSON:
		return exitOK, printJSON(a.out, m)
	}
	return exitOK, printMessage(a.out, m)
}

// printMessage prints all that is known of a message, a line each.
func printMessage(w io.Writer, m *index.Message) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, texts ...string) {
		if text := strings.Join(texts, " "); strings.TrimSpace(text) != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(strings.TrimSpace(text)))
		}
	}
	line("id", m.ID.String())
	line("received", m.ReceivedAt.UTC().Format(time.RFC3339Nano), "by", m.Gateway)
	printRoute(line, m)
	printVerdicts(line, m.Verdicts)
	printHeader(line, &m.Header)
	line("size", fmt.Sprint(m.Size), "bytes, SHA-256", m.SHA256)
	line("stored", m.Blob.Store, m.Blob.Bucket, m.Blob.Key, fmt.Sprintf("--offset %d --length %d", m.Blob.Offset, m.Blob.Length))
	for i := range m.Parts {
		p := &m.Parts[i]
		charset := p.Charset
		if charset != "" {
			charset = "charset=" + charset
		}
		name := p.Name.Text
		if name != "" {
			name = fmt.Sprintf("%q", printable(name))
		}
		line("part", p.Number, p.Type, charset, p.Disposition, name, fmt.Sprint(p.Size), "bytes, SHA-256", p.SHA256)
	}
	for _, d := range m.Defects {
		part := d.Part
		if part != "" {
			part = "in part " + part
		}
		line("defect", d.Kind, part)
	}
	return table.Flush()
}

// printRoute prints where a message came from and for whom.
func printRoute(line func(string, ...string), m *index.Message) {
	client := ""
	if m.Client.Address.IsValid() {
		client = fmt.Sprintf("[%s]:%d", m.Client.Address, m.Client.Port)
	}
	line("client", client, m.Client.Name)
	line("helo", m.Client.Helo)
	line("protocol", m.Client.Protocol, m.Client.TLSVersion, m.Client.TLSCipher)
	line("role", m.Client.Role)
	line("user", m.Client.Identity)
	line("sender", "<"+m.MailFrom+">")
	for _, r := range m.RcptTo {
		line("recipient", "<"+r+">")
	}
}

// printVerdicts prints what the checks of a message have found.
func printVerdicts(line func(string, ...string), v *pipeline.Verdicts) {
	if v == nil {
		return
	}
	if v.Skipped != "" {
		line("verdict", "none: the client is "+v.Skipped)
		return
	}
	line("verdict", v.Disposition, v.Cause)
	line("spf", v.SPF.Result, v.SPF.Identity, v.SPF.Domain, v.SPF.Mechanism, v.SPF.Reason)
	for i := range v.DKIM {
		line("dkim", v.DKIM[i].Result, v.DKIM[i].Domain, v.DKIM[i].Selector, v.DKIM[i].Algorithm, v.DKIM[i].Reason)
	}
	line("dmarc", v.DMARC.Result, v.DMARC.From, v.DMARC.Policy, v.DMARC.Reason)
	line("iprev", v.IPRev.Result, v.IPRev.Name)
	if v.Forged > 0 {
		line("forged", fmt.Sprint(v.Forged), "fields in our name")
	}
}

// printHeader prints what the header of a message says.
func printHeader(line func(string, ...string), h *index.Header) {
	line("message-id", h.MessageID)
	line("references", h.References...)
	for _, field := range []struct {
		name string
		list []index.Address
	}{{"from", h.From}, {"to", h.To}, {"cc", h.Cc}, {"reply-to", h.ReplyTo}} {
		for i := range field.list {
			line(field.name, field.list[i].Name.Text, "<"+field.list[i].Address+">")
		}
	}
	line("subject", h.Subject.Text)
	if !h.Date.IsZero() {
		line("date", h.Date.UTC().Format(time.RFC3339))
	}
}

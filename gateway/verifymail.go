package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/gateway/resolver"
	"sluice/gateway/verify"
	"sluice/gateway/verify/authres"
	"sluice/gateway/verify/fields"
	"sluice/gateway/verify/spf"
	"sluice/pipeline"
)

// verifyFlags say which mail is verified, and what its client has claimed.
type verifyFlags struct {
	ClientIP string   `required:"" name:"client-ip" placeholder:"IP" help:"Address of the client that brought it (client.address of its event)."`
	Helo     string   `required:"" placeholder:"NAME" help:"What it said in HELO or EHLO (client.helo)."`
	MailFrom string   `required:"" placeholder:"ADDRESS" help:"What it said in MAIL FROM (envelope.mail_from); empty for the null sender."`
	DNS      []string `name:"dns" placeholder:"ADDRESS" sep:"none" help:"Ask this DNS server; may be repeated (dns.resolvers)."`
	Now      string   `placeholder:"TIME" help:"Verify as of then, RFC 3339 or seconds since 1970, as signatures expire; the DNS is that of today."`
	JSON     bool     `name:"json" help:"Print JSON."`
	File     string   `arg:"" help:"The mail, - for standard input."`
}

// verifyPatience is how long verify waits for the DNS in all.
const verifyPatience = time.Minute

// verifyPart is the size of the parts in which a mail is read, as a gateway has them.
const verifyPart = 64 << 10

// verifyMail verifies a mail, says what was done, and returns the exit code for what came
// of it.
func (a app) verifyMail(c *config.Config, flags *verifyFlags) (int, error) {
	r, err := newMailReport(flags, time.Now())
	if err != nil {
		return 0, err
	}
	text, err := a.readMail(flags.File)
	if err != nil {
		return 0, err
	}
	if !bytes.Contains(text, []byte("\r\n")) && bytes.Contains(text, []byte("\n")) {
		r.Mail.Converted = true
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	servers := c.DNS.Resolvers
	if len(flags.DNS) > 0 {
		servers = flags.DNS
	}
	dns, err := resolver.New(resolver.Options{Servers: servers, Timeout: c.DNS.Timeout})
	if err != nil {
		return 0, err
	}
	defer dns.Close()
	r.Servers = dns.Servers()
	ctx, cancel := context.WithTimeout(context.Background(), verifyPatience)
	defer cancel()
	r.verify(ctx, c, dns, text)
	if flags.JSON {
		err = r.printJSON(a.out)
	} else {
		err = r.print(a.out)
	}
	codes := map[string]int{"pass": exitOK, "fail": exitFail, "none": exitNone, "temperror": exitTemp}
	code, ok := codes[r.verdict.Verdicts.DMARC.Result]
	if !ok {
		code = exitPerm
	}
	return code, err
}

// newMailReport returns an empty report about the mail of some flags.
func newMailReport(flags *verifyFlags, now time.Time) (*mailReport, error) {
	r := &mailReport{Steps: []stepReport{}, Signatures: []signatureReport{}, Forged: []int{}}
	client, err := netip.ParseAddr(flags.ClientIP)
	if err != nil {
		return nil, fmt.Errorf("--client-ip: %q is not an IP address", flags.ClientIP)
	}
	if now, err = parseTime(flags.Now, now); err != nil {
		return nil, err
	}
	r.Mail.Name = flags.File
	r.Client = clientReport{
		Address: client.Unmap(), Helo: flags.Helo, Now: now.UTC(),
		MailFrom: strings.TrimSuffix(strings.TrimPrefix(flags.MailFrom, "<"), ">"),
	}
	return r, nil
}

// parseTime returns the time of --now.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--now: %q is neither a time such as 2026-11-27T12:00:00Z nor seconds since 1970", text)
	}
	return at, nil
}

// readMail reads a file or standard input.
func (a app) readMail(name string) ([]byte, error) {
	if name != "-" {
		return os.ReadFile(name)
	}
	if a.in == nil {
		return nil, errors.New("there is no standard input")
	}
	return io.ReadAll(a.in)
}

// verify verifies a mail by the code of the gateway, and keeps what it did.
func (r *mailReport) verify(ctx context.Context, c *config.Config, dns *resolver.Resolver, text []byte) {
	watched := &watchedDNS{lookups: dns.Lookups(resolver.DefaultLookups)}
	options := adapters.VerifyOptions(c)
	options.Evidence = true
	options.Trace = func(identity spf.Identity, s spf.Step) {
		r.Steps = append(r.Steps, stepReport{string(identity), s.Depth, s.Domain, s.Term, s.Result})
	}
	e := verify.Begin(&options, verify.Claim{
		Client: r.Client.Address, Helo: r.Client.Helo, MailFrom: r.Client.MailFrom, Now: r.Client.Now, DNS: watched,
	})
	e.CheckName(ctx)
	e.CheckSPF(ctx)
	text, r.Mail.Stored = asItCame(text, options.AuthservID)
	var header fields.Reader
	read := header.Write(text)
	r.Forged = append(r.Forged, e.Header([][]byte{header.Text()}, header.TooLong())...)
	seen, rest := fields.Cut(header.Text())
	list, _ := fields.Split(seen)
	r.Mail.Bytes, r.Mail.Header, r.Mail.Fields = len(text), read-len(rest), len(list)
	for text = text[read:]; len(text) > 0; text = text[min(verifyPart, len(text)):] {
		e.Write(text[:min(verifyPart, len(text))])
	}
	r.verdict = e.End(ctx)
	r.details = e.Details()
	r.Lookups = watched.done
	r.fill()
}

// asItCame returns a mail as its client sent it, from how a gateway has stored it: without
// what stands on top, and with the names of forged fields. Another mail it returns as it is.
// It reports whether the mail was stored so.
func asItCame(text []byte, host string) ([]byte, bool) {
	var header fields.Reader
	header.Write(text)
	list, _ := fields.Split(header.Text())
	if len(list) < 2 || !list[1].Is("Received") || !slices.Equal(authres.Forged(list[0].Raw, host), []int{0}) {
		return text, false
	}
	sent := bytes.Clone(text[len(list[0].Raw)+len(list[1].Raw):])
	for _, separator := range []string{"\r\n", "X-Mailbox-Line: "} {
		if rest, found := bytes.CutPrefix(sent, []byte(separator)); found && pipeline.SeparatorOf(rest) == separator {
			sent = rest
		}
	}
	var own fields.Reader
	own.Write(sent)
	list, _ = fields.Split(own.Text())
	at := 0
	for _, f := range list {
		if f.Is("X-Spoofed-Auth-Results") {
			copy(sent[at:], "Authentication-Results")
		}
		at += len(f.Raw)
	}
	return sent, true
}

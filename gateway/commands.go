package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/gateway/maillog"
)

const description = `Sluice takes mail by SMTP, stores it, announces it, and only then answers 250.

Without a configuration it serves the embedded default on 127.0.0.1. Every key
of the configuration file has a variable SLUICE_<KEY>, with underscores for dots
and commas in lists (limits.message_size: SLUICE_LIMITS_MESSAGE_SIZE), a secret
also SLUICE_<KEY>_FILE. Variables override the file, flags override variables.
"sluice config print" shows every key, its value and where it comes from.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.`

// commandLine is the grammar of the command line.
type commandLine struct {
	Settings

	Serve  struct{} `cmd:"" default:"1" help:"Serve until SIGTERM (the default)."`
	Config struct {
		Check struct{} `cmd:"" help:"Check the configuration and say what is wrong with it."`
		Print struct{} `cmd:"" help:"Print the whole effective configuration, secrets redacted."`
	} `cmd:"" help:"Look at the configuration."`
	Cat struct {
		Key    string `arg:"" help:"An object's key, or a message's id."`
		Offset int64  `help:"Where the message begins in the object, octets (blob.offset of its event)."`
		Length int64  `default:"-1" help:"The message's octets (blob.length of its event); -1 for all that follow."`
	} `cmd:"" help:"Print a stored message."`
	Unpack struct {
		Key    string `arg:"" help:"The key of a pack, a .tar of several messages."`
		Folder string `short:"C" default:"." placeholder:"FOLDER" help:"Where to; it must be there."`
	} `cmd:"" help:"Write the messages of a pack, and events.jsonl, into files."`
	Healthcheck struct{} `cmd:"" help:"Ask the running gateway whether it is ready; exit code 0 or 1."`
	Version     struct{} `cmd:"" help:"Print the version."`
}

// Settings are the flags that all commands share, because all but version need
// the configuration.
type Settings struct {
	File   string   `name:"config" placeholder:"FILE" help:"Configuration file, YAML (also SLUICE_CONFIG)."`
	Listen []string `placeholder:"ADDRESS" sep:"none" help:"Take SMTP here; may be repeated (listeners)."`
	Admin  string   `placeholder:"ADDRESS" help:"Serve /metrics, /livez and /readyz here (admin.address)."`
	Data   string   `placeholder:"FOLDER" help:"Keep the embedded store and event log here (data_dir)."`
}

// sources are what the flags and the environment name.
func (s *Settings) sources(env []string) config.Sources {
	from := config.Sources{File: s.File, Env: env}
	for _, variable := range env {
		if name, value, _ := strings.Cut(variable, "="); name == config.EnvConfig && from.File == "" {
			from.File = value
		}
	}
	for _, flag := range []config.Flag{
		{Name: "--listen", Path: "listeners", Value: strings.Join(s.Listen, ",")},
		{Name: "--admin", Path: "admin.address", Value: s.Admin},
		{Name: "--data", Path: "data_dir", Value: s.Data},
	} {
		if flag.Value != "" {
			from.Flags = append(from.Flags, flag)
		}
	}
	return from
}

// run carries out one command and gives the exit code.
func (w world) run(args []string) int {
	var line commandLine
	helped := false
	parser, err := kong.New(&line, kong.Name("sluice"), kong.Description(description),
		kong.Writers(w.out, w.err), kong.Exit(func(int) { helped = true }))
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped: // --help printed itself
		return exitOK
	case err != nil:
		fmt.Fprintf(w.err, "sluice: %v\nsluice --help shows what there is.\n", err)
		return exitUsage
	}
	if parsed.Command() == "version" {
		fmt.Fprintln(w.out, version())
		return exitOK
	}
	from := line.sources(w.env)
	c, err := config.Load(from, config.ForServe)
	if err != nil {
		say(w.err, err.Error()+"\n")
		return exitConfig
	}
	switch command, _, _ := strings.Cut(parsed.Command(), " <"); command {
	case "cat":
		err = w.cat(context.Background(), &c, adapters.Range(line.Cat))
	case "unpack":
		err = w.unpack(context.Background(), &c, line.Unpack.Key, line.Unpack.Folder)
	case "config check":
		err = w.check(&c)
	case "config print":
		err = c.Print(w.out)
	case "healthcheck":
		err = w.healthcheck(c.Admin.Address)
	default:
		if err = w.serve(context.Background(), c, w.out); err != nil && c.Log.Format == config.FormatJSON {
			say(w.err, jsonLine(err))
			return exitFailure
		}
	}
	if err != nil {
		say(w.err, fmt.Sprintf("sluice: %v\n", err))
		return exitFailure
	}
	return exitOK
}

// jsonLine is the error with which a gateway ends, for readers of a log in JSON.
func jsonLine(err error) string {
	var line strings.Builder
	slog.New(slog.NewJSONHandler(&line, nil)).Error("ended", "err", err.Error())
	return line.String()
}

// say writes a last word, and does not wait long for a reader that stands still.
func say(to io.Writer, text string) {
	said := make(chan struct{})
	go func() {
		_, _ = io.WriteString(to, text) // there is nowhere else to say it
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(maillog.Patience):
	}
}

func (w world) check(c *config.Config) error {
	for _, warning := range c.Warnings() {
		fmt.Fprintln(w.err, "warning:", warning)
	}
	name := c.File()
	if name == "" {
		name = "the default configuration"
	}
	_, err := fmt.Fprintf(w.out, "%s is right; %d keys are not left at their default\n", name, c.KeysSet())
	return err
}

// healthTimeout is below the timeouts of container engines.
const healthTimeout = 5 * time.Second

// healthcheck asks /readyz of the gateway that this configuration runs.
func (w world) healthcheck(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "0" {
		return errors.New("admin.address has port 0: which port it got is not known here")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // all addresses, so this one too
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	client := http.Client{Timeout: healthTimeout, Transport: &http.Transport{Proxy: nil}}
	response, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	why := make([]byte, 200)
	n, _ := response.Body.Read(why) // the status is the answer, this says why
	fmt.Fprintln(w.out, strings.TrimSpace(string(why[:n])))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"sluice/gateway/adapters"
	"sluice/gateway/config"
	"sluice/gateway/server"
)

const description = `Sluice takes mail by SMTP, stores it, announces it, and only then answers 250.

Without a configuration it serves the embedded default on 127.0.0.1. Every key
of the configuration file has a variable SLUICE_<KEY>, with underscores for dots
and commas in lists (limits.message_size: SLUICE_LIMITS_MESSAGE_SIZE), a secret
also SLUICE_<KEY>_FILE. Variables override the file, flags override variables.
"sluice config print" shows every key, its value and where it comes from.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration. Those of
"sluice verify" also say what came of DMARC: 0 pass, 3 fail, 4 none, 5 temperror,
6 permerror. "sluice find", show and export end with 3 where there is nothing.`

// commandLine is the grammar of the command line.
type commandLine struct {
	Global globalFlags `embed:""`

	Serve  struct{} `cmd:"" default:"1" help:"Serve until SIGTERM (the default)."`
	Config struct {
		Check struct{} `cmd:"" help:"Check the configuration and say what is wrong with it."`
		Print struct{} `cmd:"" help:"Print the whole effective configuration, secrets redacted."`
	} `cmd:"" help:"Look at the configuration."`
	Cat struct {
		Key    string `arg:"" help:"An object's key, or a message's id."`
		Offset int64  `help:"Where the message begins in the object, in bytes (blob.offset of its event)."`
		Length int64  `default:"-1" help:"The message's length in bytes (blob.length of its event); -1 for all that follow."`
	} `cmd:"" help:"Print a stored message."`
	Unpack struct {
		Key    string `arg:"" help:"The key of a pack, a .tar of several messages."`
		Folder string `short:"C" default:"." placeholder:"FOLDER" help:"Where to; it must be there."`
	} `cmd:"" help:"Write the messages of a pack, and events.jsonl, into files."`
	TLS struct {
		SelfSigned struct {
			Dir     string   `required:"" placeholder:"FOLDER" help:"Where to: cert.pem and key.pem."`
			Name    []string `required:"" placeholder:"HOST" sep:"none" help:"A name of the server, or its IP address; may be repeated."`
			Replace bool     `help:"Write over those that are there."`
		} `cmd:"" help:"Write a certificate that vouches for itself, and its key, for trying out."`
	} `cmd:"" help:"Make certificates."`
	Auth struct {
		Test struct {
			User  string `required:"" placeholder:"USER" help:"The name that a client would give."`
			Token bool   `help:"Take what is read for a bearer token, not for a password."`
		} `cmd:"" help:"Say what the backends of auth.backends make of a user and a password (of standard input, or asked for)."`
	} `cmd:"" help:"Try out authentication."`
	Index struct{} `cmd:"" help:"Fill the index from the event log until SIGTERM, beside gateways that take mail."`
	DLQ   struct {
		List   dlqListFlags `cmd:"" help:"Show them."`
		Replay struct{}     `cmd:"" help:"Publish them again, so that they are indexed once what was wrong is mended."`
	} `cmd:"" name:"dlq" help:"Look after events that could not be indexed: dead letters."`
	Find         findFlags   `cmd:"" help:"Find messages in the index, the newest first."`
	Show         showFlags   `cmd:"" help:"Show what the index has of a message."`
	Export       exportFlags `cmd:"" help:"Write the stored messages that are found into one file or a folder, all of them without --limit."`
	Verify       verifyFlags `cmd:"" help:"Verify a mail as the gateway would (SPF, DKIM, DMARC), and show each step."`
	HashPassword struct{}    `cmd:"" help:"Print the hash of a password, for the file of auth.static: of standard input, or asked for."`
	Healthcheck  struct{}    `cmd:"" help:"Ask the running gateway whether it is ready; exit code 0 or 1."`
	Version      struct{}    `cmd:"" help:"Print the version."`
}

// globalFlags are the flags of all commands, since most need the configuration.
type globalFlags struct {
	File   string   `name:"config" placeholder:"FILE" help:"Configuration file, YAML (also SLUICE_CONFIG)."`
	Listen []string `placeholder:"ADDRESS" sep:"none" help:"Take SMTP here; may be repeated (listeners)."`
	Admin  string   `placeholder:"ADDRESS" help:"Serve /metrics, /livez and /readyz here (admin.address)."`
	Data   string   `placeholder:"FOLDER" help:"Keep the embedded store and event log here (data_dir)."`
}

// sources returns the sources of the configuration: flags, file and environment.
func (f *globalFlags) sources(env []string) config.Sources {
	from := config.Sources{File: f.File, Env: env}
	for _, variable := range env {
		if name, value, _ := strings.Cut(variable, "="); name == config.EnvConfig && from.File == "" {
			from.File = value
		}
	}
	for _, flag := range []config.Flag{
		{Name: "--listen", Path: "listeners", Value: strings.Join(f.Listen, ",")},
		{Name: "--admin", Path: "admin.address", Value: f.Admin},
		{Name: "--data", Path: "data_dir", Value: f.Data},
	} {
		if flag.Value != "" {
			from.Flags = append(from.Flags, flag)
		}
	}
	return from
}

// run executes one command and returns the exit code.
func (a app) run(args []string) int {
	var line commandLine
	helped := false
	parser, err := kong.New(&line, kong.Name("sluice"), kong.Description(description),
		kong.Writers(a.out, a.err), searchHelp(), kong.Exit(func(int) { helped = true }))
	if err != nil {
		panic(err) // the grammar above is wrong
	}
	parsed, err := parser.Parse(args)
	switch {
	case helped: // --help printed itself
		return exitOK
	case err != nil:
		fmt.Fprintf(a.err, "sluice: %v\nsluice --help shows what there is.\n", err)
		return exitUsage
	}
	switch parsed.Command() {
	case "version":
		fmt.Fprintln(a.out, version())
		return exitOK
	case "hash-password":
		return a.exit(a.hashPassword())
	case "tls self-signed":
		made := &line.TLS.SelfSigned
		return a.exit(a.selfSigned(made.Dir, made.Name, made.Replace))
	}
	var hangups *server.Hangups
	if parsed.Command() == "serve" {
		hangups = server.CatchHangups()
	}
	from := line.Global.sources(a.env)
	command, _, _ := strings.Cut(parsed.Command(), " <")
	c, err := config.Load(from, roleOf(command))
	if err != nil {
		say(a.err, err.Error()+"\n")
		return exitConfig
	}
	var code int
	switch command {
	case "cat":
		err = a.cat(context.Background(), &c, adapters.Range(line.Cat))
	case "unpack":
		err = a.unpack(context.Background(), &c, line.Unpack.Key, line.Unpack.Folder)
	case "verify":
		code, err = a.verifyMail(&c, &line.Verify)
	case "index":
		err = runIndex(&c, a.out)
	case "dlq list":
		code, err = a.dlqList(context.Background(), &c, &line.DLQ.List)
	case "dlq replay":
		code, err = a.dlqReplay(context.Background(), &c)
	case "find":
		code, err = a.find(context.Background(), &c, &line.Find)
	case "show":
		code, err = a.show(context.Background(), &c, &line.Show)
	case "export":
		code, err = a.export(context.Background(), &c, &line.Export)
	case "auth test":
		err = a.authTest(&c, line.Auth.Test.User, line.Auth.Test.Token)
	case "config check":
		err = a.check(&c)
	case "config print":
		err = c.Print(a.out)
	case "healthcheck":
		err = a.healthcheck(c.Admin.Address)
	case "serve":
		c, from = a.tryTLS(c, from)
		err = a.serve(context.Background(), server.Options{Config: c, Sources: from, Out: a.out, Hangups: hangups})
		if err != nil && c.Log.Format == config.FormatJSON {
			say(a.err, jsonLine(err))
			return exitFailure
		}
	default:
		err = fmt.Errorf("the command %q is not carried out by run", command)
	}
	if err != nil {
		return a.exit(err)
	}
	return code
}

// roleOf returns what a command needs of its configuration.
func roleOf(command string) config.Role {
	switch command {
	case "cat", "unpack", "dlq list", "dlq replay", "healthcheck":
		return config.ForRead
	case "index", "find", "show", "export":
		return config.ForIndex
	}
	return config.ForServe
}

// exit returns the exit code of a command that ended with err, and says the error.
func (a app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	say(a.err, fmt.Sprintf("sluice: %v\n", err))
	switch {
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(*adapters.HopelessError)):
		return exitConfig
	}
	return exitFailure
}

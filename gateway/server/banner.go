package server

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"

	"sluice/gateway/config"
	"sluice/gateway/reactor"
	"sluice/internal/panics"
	"sluice/metrics"
)

// endpoints are the actual addresses of the servers: the configuration may leave ports
// open.
type endpoints struct {
	SMTP   []string
	Bound  []reactor.Bound // the same, with the family of each; nil in some tests
	Admin  string
	Events string // "" if the event log is not in this process

	Program string        // the command by which the program was started
	Build   metrics.Build // what is running
}

// writeBanner writes the first lines that serve prints: what runs where, warnings, and
// the next commands to try.
func writeBanner(w io.Writer, c *config.Config, at endpoints) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", VersionLine(at.Build))
	line("")
	smtp := listening(at.Bound)
	if at.Bound == nil {
		smtp = at.SMTP
	}
	line("  SMTP      %s   %s", strings.Join(smtp, ", "), acceptance(c))
	if text := secured(c); text != "" {
		line("  TLS       %s", text)
	}
	if c.OffersAuth() {
		line("  users     %s, known by %s", submission(c), strings.Join(c.Auth.Backends, ", "))
	}
	if c.Verify.Enabled {
		line("  verified  SPF, DKIM and DMARC, as %s", c.AuthservID())
	}
	line("  messages  %s", c.StoreLine())
	line("  events    %s", c.EventsLine(at.Events))
	if c.Indexes() {
		line("  index     %s", indexLine(c, at.Admin))
	}
	line("  admin     http://%s   /metrics /livez /readyz", at.Admin)
	if c.File() != "" {
		line("  settings  %s   (%s shows all)", c.File(), sameProgram(c, at, "config print"))
	}
	for i, warning := range append(c.Warnings(), unreachable(at.Bound)...) {
		if i == 0 {
			line("")
		}
		line("WARNING: %s", warning)
	}
	line("")
	nextSteps(line, c, at)
	_, err := io.WriteString(w, b.String())
	return err
}

// VersionLine returns one line for people and scripts: name, version, revision, Go.
func VersionLine(b metrics.Build) string {
	return fmt.Sprintf("sluice %s (revision %s, %s, %s/%s)", b.Version, b.Revision, b.GoVersion, runtime.GOOS, runtime.GOARCH)
}

// submission returns the listeners for the mail of users.
func submission(c *config.Config) string {
	var all []string
	for _, l := range c.Listeners {
		if l.Role == config.RoleSubmission {
			all = append(all, l.Address)
		}
	}
	return "AUTH on " + strings.Join(all, ", ")
}

// acceptance returns whose mail is accepted from anybody.
func acceptance(c *config.Config) string {
	if !c.TakesMail() {
		return "mail of users alone"
	}
	if c.Accept.Any {
		return "mail for any recipient"
	}
	names := c.Accept.Domains
	if len(names) > 3 {
		return fmt.Sprintf("mail for %s and %d more", strings.Join(names[:3], ", "), len(names)-3)
	}
	return "mail for " + strings.Join(names, ", ")
}

// secured returns which listeners have TLS, "" if none has.
func secured(c *config.Config) string {
	words := map[string]string{
		config.TLSStart: "STARTTLS on ", config.TLSRequired: "STARTTLS required on ", config.TLSImplicit: "from the first byte on ",
	}
	var all []string
	for _, l := range c.Listeners {
		if word := words[l.TLS]; word != "" {
			all = append(all, word+l.Address)
		}
	}
	if len(all) > 0 && c.HasTrialTLS() {
		all = append(all, "with a certificate for trying out, "+c.TLS.Certificates[0].CertFile)
	}
	return strings.Join(all, ", ")
}

// curlTLS returns the scheme and the options by which curl speaks to a listener. Only the
// certificate for trying out is known to have the name of the host that the command is for.
func curlTLS(c *config.Config, l *config.ListenerConfig) (scheme, options string) {
	trust := " -k"
	if c.HasTrialTLS() {
		trust = " --cacert " + shellWord(c.TLS.Certificates[0].CertFile)
	}
	switch l.TLS {
	case config.TLSStart, config.TLSRequired:
		return "smtp", " --ssl-reqd" + trust
	case config.TLSImplicit:
		return "smtps", trust
	}
	return "smtp", ""
}

// nextSteps writes commands for a newcomer. Each line stands alone and can be pasted.
func nextSteps(line func(string, ...any), c *config.Config, at endpoints) {
	name, domain := "someone", "example.net"
	if c.Accept.RecipientsFile != "" {
		name = "postmaster" // is taken, whatever the list says
	}
	if !c.Accept.Any && len(c.Accept.Domains) > 0 {
		domain = strings.Replace(c.Accept.Domains[0], "*", "mail", 1)
	}
	recipient := name + "@" + domain
	front := slices.IndexFunc(c.Listeners, func(l config.ListenerConfig) bool {
		return l.ProxyProtocol != config.ProxyRequired && (l.Role != config.RoleSubmission || !c.TakesMail())
	})
	switch {
	case front < 0:
		line("Send a mail through the load balancer: without a PROXY header nobody is answered.")
	default:
		line("Send a mail, and see the dialog with its 250:")
		scheme, options := curlTLS(c, &c.Listeners[front])
		if !c.TakesMail() {
			options += " --user you@example.org"
		}
		line(`  printf 'From: you@example.org\r\nTo: %s\r\nSubject: Hello\r\n\r\nHello, Sluice.\r\n' | curl -sSv%s %s://%s --mail-from you@example.org --mail-rcpt %s -T - 2>&1 | grep -v '^[*{}]'`,
			recipient, options, scheme, reachable(at.SMTP[front]), recipient)
	}
	if at.Events != "" {
		line("Show the events, each with its headers:")
		line(`  kcat -b %s -C -t %s -o beginning -e -f '%%h\n%%s\n'`, reachable(at.Events), c.Events.Topic)
	}
	if !c.DiscardsMessages() {
		line("Read the message (the last 250 says its id):")
		line("  %s", sameProgram(c, at, "cat <id>"))
	}
	if c.Indexes() {
		line("Find it again, here or with a browser:")
		line("  %s", sameProgram(c, at, "find --to "+recipient))
	}
	line("Watch it work:")
	line("  curl -sS http://%s/metrics | grep ^sluice_", reachable(at.Admin))
	line("Stop it with Ctrl-C; %s --help shows the rest.", shellWord(at.Program))
}

// sameProgram is a command of this program with the settings that it was started
// with, as far as the command needs them.
func sameProgram(c *config.Config, at endpoints, command string) string {
	words := shellWord(at.Program) + " " + command
	if c.File() != "" {
		words += " --config " + shellWord(c.File())
	}
	if c.SetByFlagOrEnv("data_dir") {
		words += " --data " + shellWord(c.DataDir)
	}
	return words
}

// reachable is an address to connect to, for one to listen on.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// shellWord quotes a path for the shell where that is needed.
func shellWord(path string) string {
	plain := strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == ""
	if plain {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// announce says that the gateway is ready: people read it on standard output, other
// programs in the log. It waits for neither.
func (s *Server) announce() {
	at := endpoints{
		SMTP: s.reactor.Addresses(), Bound: s.reactor.Bound(), Admin: s.admin.Addr(), Events: s.events.Address,
		Program: s.options.Program, Build: s.options.Build,
	}
	log := s.log.Logger()
	if s.config.KeysSet() > 0 {
		log.Info("configuration", append(counted(&s.config), "set", &s.config)...)
	}
	if s.config.Log.Format == config.FormatText {
		go func() {
			defer panics.Recover(panics.Process, nil)
			_ = writeBanner(s.options.Out, &s.config, at) // to nobody, if it must be
		}()
		return
	}
	store := s.config.Store.Kind
	events := s.config.Events.Kind
	log.Info("serving", "version", at.Build.Version, "revision", at.Build.Revision, "smtp", listening(at.Bound),
		"admin", at.Admin, "store", store, "events", events, "topic", s.config.Events.Topic)
	for _, warning := range append(s.config.Warnings(), unreachable(at.Bound)...) {
		log.Warn(warning)
	}
}

// listening names what is bound, with its family where the address does not say it.
func listening(bound []reactor.Bound) []string {
	var all []string
	for _, b := range bound {
		host, _, _ := net.SplitHostPort(b.Address)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			all = append(all, b.Address+" ("+string(b.Family)+")")
		} else {
			all = append(all, b.Address)
		}
	}
	return all
}

// unreachable warns of listeners that no client can reach.
func unreachable(bound []reactor.Bound) []string {
	var warnings []string
	for _, b := range bound {
		if b.Unreachable {
			warnings = append(warnings, "no client can reach "+b.Address+": this host has no "+string(b.Family))
		}
	}
	return warnings
}

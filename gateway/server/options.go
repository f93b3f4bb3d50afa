package server

import (
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/driver"
	"sluice/gateway/reactor"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// listenOn returns the addresses to listen on, with what their sessions have in common.
func listenOn(c *config.Config) []reactor.Endpoint {
	settings := sessionSettings(c)
	var all []reactor.Endpoint
	for i, l := range c.Listeners {
		all = append(all, reactor.Endpoint{Address: l.Address, Listener: &driver.Listener{
			Settings: settings[i], Submission: l.Role == config.RoleSubmission, ImplicitTLS: l.TLS == config.TLSImplicit,
			Proxy: l.ProxyProtocol == config.ProxyRequired, ProxyNetworks: l.ProxyNetworks, XclientNetworks: l.XclientNetworks,
		}})
	}
	return all
}

// sessionSettings returns the settings of the sessions of each listener.
func sessionSettings(c *config.Config) []*session.Settings {
	type kind struct{ role, tls string }
	made := make(map[kind]*session.Settings)
	var all []*session.Settings
	for _, l := range c.Listeners {
		k := kind{l.Role, l.TLS}
		if made[k] == nil {
			made[k] = settingsFor(c, l)
		}
		all = append(all, made[k])
	}
	return all
}

// settingsFor returns the settings of the sessions of listeners with the role and the TLS of
// one.
func settingsFor(c *config.Config, l config.ListenerConfig) *session.Settings {
	accept := session.AcceptDomains(c.Accept.Domains)
	if c.Accept.Any {
		accept = session.AcceptAny()
	}
	settings := session.NewSettings(c.Hostname, session.Limits{
		MessageSize:     int64(c.Limits.MessageSize),
		Recipients:      c.Limits.Recipients,
		CommandErrors:   c.Limits.CommandErrors,
		RecipientErrors: c.Limits.RecipientErrors,
		JunkCommands:    c.Limits.JunkCommands,
		Messages:        c.Limits.Messages,
		ReceivedHeaders: c.Limits.ReceivedHeaders,
	}, accept)
	settings.SetTLS(session.TLSPolicy{
		Offered: l.TLS == config.TLSStart || l.TLS == config.TLSRequired, Required: l.TLS == config.TLSRequired,
		RequireTLS: c.TLS.OfferRequireTLS,
	})
	settings.Tolerate = c.Smuggling == config.SmugglingTolerate
	settings.TolerateFrom = c.SmugglingExempt
	settings.StrictPaths = c.StrictPaths
	if list := c.Recipients(); list != nil {
		settings.Recipients = list
	}
	if l.Role == config.RoleSubmission {
		setAuth(settings, c, l)
	}
	if c.Accept.RecipientDelimiter != "" {
		settings.Delimiter = c.Accept.RecipientDelimiter[0]
	}
	return settings
}

// verdictGrace is how long a verdict may come behind verify.deadline, with what is known by
// then, before it is given up.
const verdictGrace = 2 * time.Second

// generation returns what a running gateway can change, as a configuration has it.
func (s *Server) generation(c *config.Config) driver.Generation {
	settings := sessionSettings(c)
	g := driver.Generation{
		Timeouts:         driver.Timeouts(c.Timeouts),
		MinDataRate:      int64(c.Limits.MinDataRate),
		StalledSessions:  (c.Limits.StalledSessions + s.loops - 1) / s.loops,
		ConnectionsPerIP: c.Limits.ConnectionsPerIP,
		Trusted:          c.TrustedNetworks,
		Verdict:          c.Verify.Deadline + verdictGrace,
		Settings:         make(map[*driver.Listener]*session.Settings),
	}
	for i, e := range s.endpoints {
		g.Settings[e.Listener] = settings[i]
	}
	return g
}

// driverOptions returns the options of the event loops.
func (s *Server) driverOptions() driver.Options {
	c := &s.config
	of := c.Parts()
	bodies, parts := driver.Budgets(c.BodyMemory(), of.Size, of.Concurrency)
	options := driver.Options{
		MessageSize: int64(c.Limits.MessageSize),
		Admission: driver.AdmissionLimits{
			Connections: c.Limits.Connections,
			Refused:     min(256, (c.Machine().Files-c.Limits.Connections)/4),
			Unnamed:     (c.Limits.Connections + 4*s.loops - 1) / (4 * s.loops), // a quarter of all
		},
		Generation: s.generation(c),
		Budget:     bodies,
		Parts:      parts,
		Gate:       s.monitor.Gate(),
		Committer: &pipeline.Committer{
			Store: s.objects.Objects, Log: s.events.Events, Bucket: s.objects.Bucket,
			Observer: s.metrics, Watcher: s.monitor.Gate(),
		},
		Security:  s.handshakes,
		Clock:     systemClock{},
		Observer:  s.tally,
		MailLog:   s.log,
		SlabsKept: c.BodyMemory() / 16 / int64(s.loops),
	}
	if s.attempts != nil {
		options.Authenticator = s.attempts
	}
	if s.verification != nil {
		options.Verifier = s.verification
	}
	return options
}

type systemClock struct{}

// Now implements driver.Clock.
func (systemClock) Now() time.Time { return time.Now() }

// newRandom returns the random source of a loop, since ids must not be predictable.
func newRandom() pipeline.Random {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails: it would end the process instead
	return rand.NewChaCha8(seed)
}

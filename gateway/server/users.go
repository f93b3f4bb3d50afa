package server

import (
	"sluice/gateway/adapters"
	"sluice/gateway/auth"
	"sluice/gateway/config"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// openUsers opens the backends of AUTH and the pool that asks them, if a listener has AUTH.
func (s *Server) openUsers() (err error) {
	if !s.config.OffersAuth() {
		return nil
	}
	if s.users, err = adapters.OpenUsers(&s.config, s.log.Logger()); err != nil {
		return err
	}
	s.attempts = auth.NewPool(auth.Options{
		Sources: s.users.Sources, Attempts: s.config.Auth.Attempts, Cache: s.config.Auth.Cache, Judged: s.metrics.AuthJudged,
	})
	return nil
}

// closeUsers ends the attempts in flight and closes the backends of AUTH.
func (s *Server) closeUsers() error {
	if s.attempts == nil {
		return nil
	}
	return s.attempts.Close(0)
}

// useUsers makes the users of a configuration the present ones: what was accepted before is
// judged anew.
func (s *Server) useUsers(c *config.Config) {
	if s.attempts == nil {
		return
	}
	if s.users.Static != nil {
		s.users.Static.Use(c.Users())
	}
	s.attempts.Forget()
}

// setAuth sets what sessions make of AUTH at a listener for submission. Where TLS is
// required, AUTH is not offered before it: it would be refused there, with the password in
// the open.
func setAuth(settings *session.Settings, c *config.Config, l config.ListenerConfig) {
	policy := session.AuthPolicy{
		PlainText: c.Auth.AllowPlaintext && l.TLS != config.TLSRequired, Explain: c.Auth.Explain, Scope: c.TokenScope(), Senders: c.SenderPolicy(),
	}
	for _, name := range c.Auth.Backends {
		if name == config.BackendOIDCToken {
			policy.Tokens = true
		} else {
			policy.Passwords = true
		}
	}
	settings.Role = pipeline.RoleSubmission
	settings.SetAuth(policy)
}

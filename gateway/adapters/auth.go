package adapters

import (
	"fmt"
	"log/slog"

	"sluice/gateway/auth"
	"sluice/gateway/config"
	"sluice/gateway/identity/ldap"
	"sluice/gateway/identity/oidc"
	"sluice/gateway/identity/static"
)

// remoteConcurrency is how many attempts a backend elsewhere judges at a time.
const remoteConcurrency = 64

// Users are the open backends of auth.backends, in their order.
type Users struct {
	Sources []auth.Source
	Static  *static.Backend // nil if it is not asked
}

// OpenUsers opens the backends that the configuration names. None of them is asked yet: one
// that is away does not stop the start.
func OpenUsers(c *config.Config, logger *slog.Logger) (*Users, error) {
	u := &Users{}
	for _, name := range c.Auth.Backends {
		source, err := u.open(c, name, logger)
		if err != nil {
			return u, fmt.Errorf("auth.backends: %s: %w", name, err)
		}
		u.Sources = append(u.Sources, source)
	}
	return u, nil
}

func (u *Users) open(c *config.Config, name string, logger *slog.Logger) (s auth.Source, err error) {
	s.Concurrency = remoteConcurrency
	options := c.OIDCOptions()
	options.Logger = logger
	switch name {
	case config.BackendStatic:
		u.Static = static.New(c.Users())
		s.Backend, s.Concurrency, s.Computes = u.Static, config.HashesAtOnce(), true
	case config.BackendLDAP:
		s.Backend, err = ldap.Open(c.Auth.LDAP)
	case config.BackendOIDCPassword:
		s.Backend, err = oidc.NewPassword(options)
	case config.BackendOIDCToken:
		s.Backend, err = oidc.NewToken(options)
	}
	return s, err
}

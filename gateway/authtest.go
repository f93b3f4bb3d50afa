package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"sluice/codec"
	"sluice/gateway/adapters"
	"sluice/gateway/auth"
	"sluice/gateway/config"
	"sluice/gateway/driver"
	"sluice/gateway/session"
)

// errNotAccepted is the error of a user who is not accepted.
var errNotAccepted = errors.New("not accepted")

// authTest has the backends of a configuration judge a user, as a gateway would, and says
// what came of it.
func (a app) authTest(c *config.Config, user string, token bool) error {
	if !c.OffersAuth() {
		return errors.New("no listener has role: submission")
	}
	prompt, mechanism := "Password: ", codec.MechanismPlain
	if token {
		prompt, mechanism = "Token: ", codec.MechanismOAuthBearer
	}
	secret, err := a.secret(prompt)
	defer clear(secret)
	if err != nil {
		return err
	}
	users, err := adapters.OpenUsers(c, slog.New(slog.NewTextHandler(a.err, nil)))
	if err != nil {
		return err
	}
	pool := auth.NewPool(auth.Options{Sources: users.Sources, Attempts: c.Auth.Attempts})
	home, began := make(chan *driver.Attempt, 1), time.Now()
	pool.Begin(&driver.Attempt{
		Credentials: codec.Credentials{Mechanism: mechanism, User: user, Secret: secret},
		Client:      netip.IPv6Loopback(), Limit: c.Timeouts.Auth, Home: func(a *driver.Attempt) { home <- a },
	})
	answer := (<-home).Answer
	took := time.Since(began).Round(time.Millisecond)
	by := answer.Backend
	if by == "" {
		by = "no backend"
	}
	verdict := map[session.Verdict]string{
		session.AuthAccepted: "235 accepted", session.AuthRefused: "535 refused", session.AuthUnavailable: "454 unavailable",
	}[answer.Verdict]
	fmt.Fprintf(a.out, "%s by %s after %v\n", verdict, by, took)
	for _, line := range []struct{ name, value string }{
		{"identity", answer.Identity}, {"issuer", answer.Issuer}, {"reason", answer.Reason},
	} {
		if line.value != "" {
			fmt.Fprintf(a.out, "%s: %s\n", line.name, line.value)
		}
	}
	if answer.Err != nil {
		fmt.Fprintf(a.out, "behind it: %v\n", answer.Err)
	}
	err = pool.Close(0)
	if err == nil && answer.Verdict != session.AuthAccepted {
		err = errNotAccepted
	}
	return err
}

package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/gateway/config"
	"sluice/gateway/monitor"
	"sluice/internal/panics"
)

// Results of a reload, as metrics label them.
const (
	reloadDone    = "ok"
	reloadInvalid = "invalid"
	reloadRestart = "needs_restart"
	reloadFailed  = "failed" // by a panic
)

// ReloadResults returns every result of a reload.
func ReloadResults() []string {
	return []string{reloadDone, reloadInvalid, reloadRestart, reloadFailed}
}

// errNeedsRestart is the error of a reload that would change what only a restart changes.
type errNeedsRestart struct{ keys []string }

func (e *errNeedsRestart) Error() string {
	return "only a restart changes " + strings.Join(e.keys, ", ") + "; nothing was changed"
}

// reload reads the configuration anew and makes it the present one, as a whole or not at
// all. An error says why the one before stays. Only awaitReloads calls it.
func (s *Server) reload() error {
	result := reloadFailed
	defer func() { s.metrics.Reloaded(result) }()
	next, err := config.Load(s.options.Sources, config.ForServe)
	if err == nil && next.FileIsEmpty() && !s.current.Load().FileIsEmpty() {
		err = fmt.Errorf("%s sets no key: nothing was changed", next.File())
	}
	if err != nil {
		result = reloadInvalid
		return err
	}
	if keys := s.config.NeedRestart(&next); len(keys) > 0 {
		result = reloadRestart
		return &errNeedsRestart{keys}
	}
	next.ShareRecipients(s.current.Load())
	s.certificates.Use(next.Certificates())
	s.useUsers(&next)
	s.useVerification(&next)
	s.shared.Reload(s.generation(&next))
	s.monitor.Change(monitor.Settings(&next))
	s.log.SetLevel(next.Log.Level)
	s.log.SetMessages(next.Log.Messages)
	s.current.Store(&next)
	result = reloadDone
	s.metrics.ConfigUsed(next.Hash())
	return nil
}

// reloadRequest asks for a reload; its channel receives the result.
type reloadRequest chan error

// awaitReloads reloads the configuration for each SIGHUP and each request of the admin
// server, until serving ends. A SIGHUP of the terminal ends serving.
func (s *Server) awaitReloads(serving context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var closing <-chan time.Time
	for {
		var answers []reloadRequest
		select {
		case <-serving.Done():
			return
		case now := <-look.C:
			s.hangups.closed(now)
			continue
		case now := <-closing:
			s.endIfClosed(now)
			continue
		case <-s.hangups.signals:
			if s.endIfClosed(time.Now()) {
				continue
			}
			closing = time.After(closedAfter)
		case first := <-s.reloads:
			answers = append(answers, first)
		}
		answers = s.gather(answers)
		err := panics.Try(panics.Process, s.reload) // whoever asked has an answer
		s.logReload(err)
		for _, answer := range answers {
			answer <- err
		}
	}
}

// gather adds all requests that wait: one reload is for all.
func (s *Server) gather(answers []reloadRequest) []reloadRequest {
	for {
		select {
		case next := <-s.reloads:
			answers = append(answers, next)
		default:
			return answers
		}
	}
}

// logReload logs the result of a reload: each problem of a bad configuration has a line.
func (s *Server) logReload(err error) {
	var problems config.Problems
	switch {
	case err == nil:
		s.log.Logger().Info("configuration reloaded", append(counted(s.current.Load()), "set", s.current.Load())...)
		for _, warning := range s.current.Load().Warnings() {
			s.log.Logger().Warn(warning)
		}
	case errors.As(err, &problems):
		for _, p := range problems {
			s.log.Logger().Error("configuration not reloaded: the one before stays", "err", p.Error())
		}
	default:
		s.log.Logger().Error("configuration not reloaded: the one before stays", "err", err)
	}
}

// counted returns, for the log, how many entries there are in the files of lines that a
// configuration names: one that was cut short shows.
func counted(c *config.Config) (values []any) {
	if users := c.Users(); users != nil {
		values = append(values, "users", users.Count())
	}
	if policy := c.SenderPolicy(); policy != nil {
		if identities, _ := policy.Count(); identities > 0 {
			values = append(values, "senders", identities)
		}
	}
	if list := c.Recipients(); list != nil {
		values = append(values, "recipients", list.Count())
	}
	return values
}

// requestReload reloads the configuration for the admin server and returns the result.
func (s *Server) requestReload(ctx context.Context) error {
	answer := make(reloadRequest, 1)
	select {
	case s.reloads <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

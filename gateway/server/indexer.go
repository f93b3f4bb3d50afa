package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/admin"
	"sluice/gateway/config"
	"sluice/gateway/maillog"
	"sluice/internal/panics"
	"sluice/metrics"
)

// IndexerOptions are the settings of a process that fills the index and takes no mail.
type IndexerOptions struct {
	Config  config.Config
	Out     io.Writer // for the banner
	Program string    // the command by which it was started, for the banner
	Build   metrics.Build
}

// Index fills the index until ctx ends, or SIGTERM or SIGINT arrives. It returns an
// *adapters.HopelessError if that cannot be done before something is mended.
func Index(ctx context.Context, o IndexerOptions) error {
	c := &o.Config
	if err := config.RaiseFileLimit(); err != nil {
		return fmt.Errorf("cannot raise the limit of open files: %w", err)
	}
	log := maillog.New(maillog.Options{Level: c.Log.Level, JSON: c.Log.Format == config.FormatJSON}, os.Stderr)
	defer log.Close()
	labels := indexLabels()
	for _, at := range panics.Places() {
		labels.PanicPlaces = append(labels.PanicPlaces, string(at))
	}
	all, index := metrics.NewIndexer(labels, o.Build)
	panics.Notify(func(at panics.Place, reason any, stack []byte) {
		all.Panicked(string(at))
		log.Panicked(0, string(at), reason, stack)
	})
	schedule(c.Process.Scheduling, batchThreads, log.Logger())
	filler := adapters.NewFiller(c, nil, indexed{index}, log.Logger())
	x := &indexer{filling: newFilling(filler), options: &o, log: log}
	listener, err := admin.Listen(c.Admin.Address)
	if err != nil {
		return err
	}
	pages := admin.Pages{Metrics: all.Handler(), Ready: x.readiness}
	if pages.Console, err = newConsole(func() *config.Config { return c }, filler.Searches, listener.Addr(), consoleAnswers(all.AddConsole(), log.Logger())); err != nil {
		return errors.Join(err, listener.Close())
	}
	x.admin = admin.New(x.bounded(listener, c.Machine().AuxiliaryConnections()), pages)
	return errors.Join(x.run(ctx), x.admin.Close())
}

// indexer is a process that fills the index.
type indexer struct {
	*filling
	options *IndexerOptions
	log     *maillog.Log
	admin   *admin.Server
	ending  atomic.Bool
}

// bounded bounds the connections of the admin server, and logs those that it closes or
// cannot accept.
func (x *indexer) bounded(l net.Listener, most int) net.Listener {
	var displaced, failed minutely
	return newBounded(l, most, func() {
		if n := displaced.add(time.Now()); n > 0 {
			x.log.Logger().Warn("the admin server has too many connections and closed the stillest", "closed", n)
		}
	}, func(err error) {
		if n := failed.add(time.Now()); n > 0 {
			x.log.Logger().Error("connections to the admin server cannot be accepted", "err", err, "attempts", n)
		}
	})
}

// readiness reports whether the process works. It does not follow the database: what waits
// for it must not be started again for that.
func (x *indexer) readiness() (ready bool, why string) {
	if x.ending.Load() {
		return false, "ending"
	}
	return true, "indexing"
}

// run fills the index until it is asked to end.
func (x *indexer) run(ctx context.Context) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	hopeless := make(chan error, 1)
	x.start(func(err error) { hopeless <- err })
	x.announce()
	var failed error
	select {
	case <-ctx.Done():
	case got := <-signals:
		x.log.Logger().Info("shutting down", "signal", got.String())
	case failed = <-x.admin.Failed():
		x.log.Logger().Error("shutting down: admin server failed", "err", failed)
	case failed = <-hopeless:
	}
	x.ending.Store(true)
	return errors.Join(failed, x.close())
}

// announce says what is indexed: people read it on standard output, other programs in the
// log.
func (x *indexer) announce() {
	c, log := &x.options.Config, x.log.Logger()
	if c.KeysSet() > 0 {
		log.Info("configuration", "set", c)
	}
	if c.Log.Format == config.FormatText {
		go func() {
			defer panics.Recover(panics.Process, nil)
			_, _ = fmt.Fprintf(x.options.Out, "%s\n\n  events    %s, group %s\n  messages  %s\n  index     %s   http://%s/\n  admin     http://%s   /metrics /livez /readyz\n",
				VersionLine(x.options.Build), c.EventsLine(""), c.Index.Group, c.StoreLine(), c.IndexLine(), reachable(x.admin.Addr()), x.admin.Addr())
		}()
	} else {
		log.Info("indexing", "version", x.options.Build.Version, "revision", x.options.Build.Revision, "admin", x.admin.Addr(),
			"index", c.Index.Store, "group", c.Index.Group, "topic", c.Events.Topic)
	}
	for _, warning := range c.IndexerWarnings() {
		log.Warn(warning)
	}
}

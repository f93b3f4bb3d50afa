package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/admin"
	"sluice/gateway/config"
	"sluice/gateway/driver"
	"sluice/gateway/maillog"
	"sluice/gateway/monitor"
	"sluice/gateway/reactor"
	"sluice/gateway/session"
	"sluice/metrics"
	"sluice/pipeline"
)

// Program is a gateway that was put together and not yet run. It is the only
// place where the packages meet.
type Program struct {
	config        config.Config
	out           io.Writer
	log           *maillog.Log
	metrics       *metrics.Metrics
	events        *adapters.Log
	objects       *adapters.Store
	storing       *monitor.StoreStats
	monitor       *monitor.Monitor
	shared        *driver.Shared
	reactor       *reactor.Reactor
	admin         *admin.Server
	adminListener net.Listener
	tally         *tally
	hangups       chan os.Signal
	ready         atomic.Bool
	draining      atomic.Bool
}

// NewProgram opens what the gateway stands on: store, event log, admin server.
// What it opened is closed again when it fails.
func NewProgram(cfg config.Config, out io.Writer) (*Program, error) {
	p := &Program{config: cfg, out: out}
	if err := p.open(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Program) open() (err error) {
	if err := config.RaiseFileLimit(); err != nil {
		return fmt.Errorf("cannot raise the limit of open files: %w", err)
	}
	p.log = maillog.New(maillog.Options{Level: p.config.Log.Level, JSON: p.config.Log.Format == config.FormatJSON}, os.Stderr)
	if p.config.Log.Format == config.FormatText && len(p.config.PublicListeners()) == 0 {
		p.log.ShowAccepted()
	}
	p.hangups = make(chan os.Signal, 1)
	signal.Notify(p.hangups, syscall.SIGHUP)
	schedule(p.config.Process.Scheduling, batchThreads, p.log.Logger())
	p.metrics = metrics.New(metricLabels(&p.config))
	p.tally = &tally{Metrics: p.metrics}
	deps := adapters.Deps{MailLog: p.log, Packs: p.metrics, Bound: p.bounded("events")}
	if p.events, err = adapters.OpenLog(&p.config, deps); err != nil {
		return err
	}
	if p.objects, err = adapters.OpenStore(&p.config, deps); err != nil {
		return err
	}
	if err = p.openMonitor(); err != nil {
		return err
	}
	loops := reserveLoops()
	p.shared = driver.NewShared(p.driverOptions(loops))
	p.reactor = reactor.New(p.shared, reactor.Options{
		Endpoints:     endpoints(&p.config),
		Loops:         loops,
		SendBuffer:    int(p.config.Socket.SendBuffer),
		ReceiveBuffer: int(p.config.Socket.ReceiveBuffer),
		NewRandom:     newRandom,
		AcceptFailed:  p.metrics.AcceptFailed,
		AcceptTrouble: p.acceptTrouble,
	})
	p.metrics.RegisterSources(p.sources())
	if p.adminListener, err = admin.Listen(p.config.Admin.Address); err != nil {
		return err
	}
	p.admin = admin.New(p.bounded("admin")(p.adminListener), p.metrics.Handler(), p.readiness)
	return nil
}

// Run serves until ctx ends, SIGTERM or SIGINT comes, or the listeners or the admin
// server fail. It returns nil when it was told to end and all sessions had their end.
func (p *Program) Run(ctx context.Context) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	p.monitor.Start()
	serving, over := context.WithCancel(ctx)
	defer over()
	go limitHeap(serving, &p.config, p.shared.SessionsOpen)
	go p.noteHangups(serving)
	ended := make(chan error, 1)
	go func() { ended <- p.reactor.Run() }()
	select {
	case err := <-ended:
		return err
	case <-p.reactor.Booted():
	}
	p.ready.Store(true)
	p.welcome()
	var failed error
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case got := <-signals:
		p.log.Logger().Info("shutting down", "signal", got.String())
	case failed = <-p.admin.Failed():
		// Balancers and supervisors take us for dead now, and nobody sees a metric:
		// better an end that finishes transactions than theirs.
		p.log.Logger().Error("shutting down: nobody can see any more how it is", "err", failed)
	case failed = <-p.reactor.Failed():
		p.log.Logger().Error("shutting down: an event loop ended", "err", failed)
	}
	return errors.Join(failed, p.end(signals, ended))
}

// noteHangups answers SIGHUP, which a terminal sends when it is closed and a service
// manager to have the configuration read again.
func (p *Program) noteHangups(serving context.Context) {
	for {
		select {
		case <-serving.Done():
			return
		case <-p.hangups:
			p.log.Logger().Warn("SIGHUP changes nothing: a new configuration needs a restart, SIGTERM drains")
		}
	}
}

// bounded returns what bounds the connections of a server that is not the mail's.
func (p *Program) bounded(server string) func(net.Listener) net.Listener {
	return func(l net.Listener) net.Listener {
		return newCrowd(l, p.config.Machine().AuxiliaryConnections(), func() { p.metrics.ConnectionDisplaced(server) })
	}
}

// acceptTrouble logs that connections cannot be accepted for now, and that they can
// again.
func (p *Program) acceptTrouble(t reactor.Trouble) {
	log := p.log.Logger().With("listener", t.Address)
	if t.Err != nil {
		log.Error("connections cannot be accepted for now: they wait in the kernel's queue",
			"cause", reactor.AcceptCause(t.Err), "err", t.Err, "attempts", t.Failed)
		return
	}
	log.Info("connections are accepted again", "attempts_failed", t.Failed)
}

// readiness says whether balancers may send connections. It follows neither the
// store nor the log: one outage there must not take the whole fleet away.
func (p *Program) readiness() (ready bool, why string) {
	switch {
	case p.draining.Load():
		return false, "draining"
	case !p.ready.Load():
		return false, "starting"
	}
	return true, "serving"
}

// Close closes what NewProgram opened, the last first.
func (p *Program) Close() error {
	var errs []error
	if p.admin != nil {
		errs = append(errs, p.admin.Close())
	}
	if p.monitor != nil {
		p.monitor.Close()
	}
	if p.objects != nil {
		errs = append(errs, p.objects.Close())
	}
	if p.events != nil {
		errs = append(errs, p.events.Close())
	}
	if p.log != nil {
		p.log.Close()
	}
	return errors.Join(errs...)
}

// endpoints returns the addresses to listen on, with what their sessions have in common.
func endpoints(c *config.Config) []reactor.Endpoint {
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
	settings.Tolerate = c.Smuggling == config.SmugglingTolerate
	settings.TolerateFrom = c.SmugglingExempt
	settings.StrictPaths = c.StrictPaths
	listener := &driver.Listener{Settings: settings}
	var all []reactor.Endpoint
	for _, address := range c.Addresses() {
		all = append(all, reactor.Endpoint{Address: address, Listener: listener})
	}
	return all
}

func (p *Program) driverOptions(loops int) driver.Options {
	c := &p.config
	bodies, parts := driver.Budgets(c.BodyMemory(), c.PartSize(), c.Store.S3.Concurrency)
	return driver.Options{
		MessageSize: int64(c.Limits.MessageSize),
		Admission: driver.AdmissionLimits{
			Connections:      c.Limits.Connections,
			ConnectionsPerIP: c.Limits.ConnectionsPerIP,
			Trusted:          c.TrustedNetworks,
			Refused:          min(256, (c.Machine().Files-c.Limits.Connections)/4),
		},
		Timeouts:    driver.Timeouts(c.Timeouts),
		Budget:      bodies,
		Parts:       parts,
		MinDataRate: int64(c.Limits.MinDataRate),
		Gate:        p.monitor.Gate(),
		Committer: &pipeline.Committer{
			Store: p.objects.Objects, Log: p.events.Events, Observer: p.storing.Observer(), Bucket: p.objects.Bucket,
		},
		Clock:     systemClock{},
		Observer:  p.tally,
		MailLog:   p.log,
		SlabsKept: c.BodyMemory() / 16 / int64(loops),
	}
}

type systemClock struct{}

// Now implements driver.Clock.
func (systemClock) Now() time.Time { return time.Now() }

// newRandom makes a loop's random source: ids are not to be guessed.
func newRandom() pipeline.Random {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails, and ends the process if it must
	return rand.NewChaCha8(seed)
}

// serve runs the gateway until it is told to end.
func serve(ctx context.Context, cfg config.Config, out io.Writer) error {
	// Who reads our output may go away: that is an error of a write, and no end.
	signal.Ignore(syscall.SIGPIPE)
	p, err := NewProgram(cfg, out)
	if err != nil {
		return err
	}
	return errors.Join(p.Run(ctx), p.Close())
}

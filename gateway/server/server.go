// Package server puts a gateway together, runs it and ends it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"

	"sluice/gateway/adapters"
	"sluice/gateway/admin"
	"sluice/gateway/auth"
	"sluice/gateway/certificates"
	"sluice/gateway/config"
	"sluice/gateway/driver"
	"sluice/gateway/maillog"
	"sluice/gateway/monitor"
	"sluice/gateway/reactor"
	"sluice/gateway/secure"
	"sluice/internal/panics"
	"sluice/metrics"
)

// Options are the settings of a Server.
type Options struct {
	Config  config.Config
	Sources config.Sources // of Config, for a reload
	Out     io.Writer      // for the banner
	Program string         // the command by which the gateway was started, for the banner
	Build   metrics.Build  // the version that is running
	Hangups *Hangups       // caught before Config was loaded; nil catches them now
}

// Server is a gateway. No other package joins the parts of the gateway.
type Server struct {
	options       Options
	config        config.Config
	log           *maillog.Log
	metrics       *metrics.Metrics
	events        *adapters.Log
	objects       *adapters.Store
	storing       *monitor.Stage
	publishing    *monitor.Stage
	monitor       *monitor.Monitor
	certificates  *certificates.Keeper
	handshakes    *secure.Pool
	users         *adapters.Users
	attempts      *auth.Pool // nil where no listener has AUTH
	shared        *driver.Shared
	reactor       *reactor.Reactor
	admin         *admin.Server
	adminListener net.Listener
	tally         *tally
	loops         int
	endpoints     []reactor.Endpoint
	verification  *adapters.Verification // nil if nothing is verified
	searches      *adapters.Searches     // nil without an index
	filling       *filling               // nil if others fill the index, or nobody
	hangups       *Hangups
	closed        chan struct{} // receives when the terminal was closed
	reloads       chan reloadRequest
	current       atomic.Pointer[config.Config] // since the last reload
	ready         atomic.Bool
	draining      atomic.Bool
}

// New opens the parts of a gateway: store, event log, admin server. If it fails, it
// closes what it has opened.
func New(o Options) (*Server, error) {
	s := &Server{options: o, config: o.Config}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open() (err error) {
	if err := config.RaiseFileLimit(); err != nil {
		return fmt.Errorf("cannot raise the limit of open files: %w", err)
	}
	s.log = maillog.New(maillog.Options{
		Level: s.config.Log.Level, Messages: s.config.Log.Messages, JSON: s.config.Log.Format == config.FormatJSON,
	}, os.Stderr)
	s.current.Store(&s.config)
	if s.hangups = s.options.Hangups; s.hangups == nil {
		s.hangups = CatchHangups()
	}
	s.closed, s.reloads = make(chan struct{}, 1), make(chan reloadRequest)
	schedule(s.config.Process.Scheduling, batchThreads, s.log.Logger())
	s.metrics = metrics.New(metricLabels(&s.config))
	s.metrics.ConfigUsed(s.config.Hash())
	s.tally = &tally{Metrics: s.metrics}
	panics.Notify(func(at panics.Place, reason any, stack []byte) {
		s.metrics.Panicked(string(at))
		s.log.Panicked(0, string(at), reason, stack)
	})
	s.certificates = certificates.NewKeeper(s.config.Certificates(), certificates.Options{
		Reloaded: s.metrics.TLSFileReloaded, Logger: s.log.Logger(),
	})
	deps := adapters.Deps{
		MailLog: s.log, Packs: s.metrics, Bound: s.bounded("events"),
		Retried: s.metrics.StoreRetried, ClientReplaced: s.metrics.KafkaClientReplaced,
	}
	if s.events, err = adapters.OpenLog(&s.config, deps); err != nil {
		return err
	}
	if s.objects, err = adapters.OpenStore(&s.config, deps); err != nil {
		return err
	}
	if err = s.openMonitor(); err != nil {
		return err
	}
	s.loops, s.endpoints = reserveLoops(), listenOn(&s.config)
	s.handshakes = secure.NewPool(secure.Options{
		Config: s.certificates.Config, Trusts: s.certificates.Trusts,
		Handshakes: s.config.TLS.Handshakes, Computing: runtime.GOMAXPROCS(0) - s.loops,
	})
	if err = s.openUsers(); err != nil {
		return err
	}
	if err = s.openVerification(); err != nil {
		return err
	}
	s.shared = driver.NewShared(s.driverOptions())
	s.reactor = reactor.New(s.shared, reactor.Options{
		Endpoints:     s.endpoints,
		Loops:         s.loops,
		SendBuffer:    int(s.config.Socket.SendBuffer),
		ReceiveBuffer: int(s.config.Socket.ReceiveBuffer),
		NewRandom:     newRandom,
		AcceptFailed:  s.metrics.AcceptFailed,
		AcceptTrouble: s.acceptTrouble,
	})
	s.openIndex()
	s.metrics.RegisterSources(s.sources())
	if s.adminListener, err = admin.Listen(s.config.Admin.Address); err != nil {
		return err
	}
	pages, err := s.adminPages()
	if err != nil {
		return err
	}
	s.admin = admin.New(s.bounded("admin")(s.adminListener), pages)
	return nil
}

// Run serves until ctx ends, SIGTERM or SIGINT arrives, the terminal is closed, or the
// listeners or the admin server fail. It returns nil if it was asked to end and all sessions ended.
func (s *Server) Run(ctx context.Context) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	s.monitor.Start()
	serving, over := context.WithCancel(ctx)
	defer over()
	go panics.Keep(panics.Process, func() { limitHeap(serving, &s.config, s.shared.SessionsOpen) })
	go panics.Keep(panics.Process, func() { s.awaitReloads(serving) })
	go panics.Keep(panics.TLS, func() { s.certificates.Run(serving) })
	s.fillIndex()
	ended := make(chan error, 1)
	go func() { ended <- panics.Try(panics.Process, s.reactor.Run) }()
	select {
	case err := <-ended:
		return err
	case <-s.reactor.Booted():
	}
	s.ready.Store(true)
	s.announce()
	var failed error
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	case got := <-signals:
		s.log.Logger().Info("shutting down", "signal", got.String())
	case <-s.closed:
		s.log.Logger().Info("shutting down: the terminal was closed")
	case failed = <-s.admin.Failed():
		// Load balancers and supervisors now consider this process dead, and its metrics
		// cannot be read. It is better to end by a drain, which finishes transactions.
		s.log.Logger().Error("shutting down: admin server failed", "err", failed)
	case failed = <-s.reactor.Failed():
		s.log.Logger().Error("shutting down: an event loop ended", "err", failed)
	}
	return errors.Join(failed, s.shutdown(signals, ended))
}

// adminPages returns the pages of the admin server. Whoever reaches it on an address that
// is not on loopback may read metrics, and no more without a token.
func (s *Server) adminPages() (pages admin.Pages, err error) {
	pages = admin.Pages{Metrics: s.metrics.Handler(), Ready: s.readiness}
	if at, ok := s.adminListener.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		pages.Reload = s.requestReload
	}
	if s.searches != nil {
		answered := consoleAnswers(s.metrics.AddConsole(), s.log.Logger())
		pages.Console, err = newConsole(s.current.Load, s.searches, s.adminListener.Addr(), answered)
	}
	return pages, err
}

// bounded returns a function that bounds the connections of a listener for something
// other than mail.
func (s *Server) bounded(server string) func(net.Listener) net.Listener {
	return func(l net.Listener) net.Listener {
		return newBounded(l, s.config.Machine().AuxiliaryConnections(),
			func() { s.metrics.ConnectionDisplaced(server) },
			func(err error) { s.metrics.AcceptFailed(reactor.AcceptCause(err)) })
	}
}

// acceptTrouble logs that accepting connections fails, and that it works again.
func (s *Server) acceptTrouble(t reactor.Trouble) {
	log := s.log.Logger().With("listener", t.Address)
	if t.Err != nil {
		log.Error("connections cannot be accepted for now: they wait in the kernel's queue",
			"cause", reactor.AcceptCause(t.Err), "err", t.Err, "attempts", t.Failed)
		return
	}
	log.Info("connections are accepted again", "attempts_failed", t.Failed)
}

// readiness reports whether load balancers may send connections, and the reason. Whether
// the store and the log can be used is said and changes nothing: one outage there must not
// take the whole fleet away.
func (s *Server) readiness() (ready bool, why string) {
	switch {
	case s.draining.Load():
		return false, "draining"
	case !s.ready.Load():
		return false, "starting"
	}
	why = "serving"
	for _, stage := range []*monitor.Stage{s.storing, s.publishing} {
		if !stage.Usable() {
			why += "; the " + stage.Name + " cannot be used: mail is turned away with 421"
		}
	}
	return true, why
}

// Close closes what New has opened, in reverse order.
func (s *Server) Close() error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.monitor != nil {
		s.monitor.Close()
	}
	errs = append(errs, s.closeVerification(), s.closeIndex())
	if s.objects != nil {
		errs = append(errs, s.objects.Close())
	}
	if s.events != nil {
		errs = append(errs, s.events.Close())
	}
	if s.log != nil {
		s.log.Close()
	}
	return errors.Join(errs...)
}

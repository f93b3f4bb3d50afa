package server

import (
	"os"
	"time"

	"sluice/gateway/monitor"
	"sluice/gateway/pressure"
	"sluice/pipeline"
)

// openMonitor creates the monitor. The event log must be open.
func (s *Server) openMonitor() error {
	settings := monitor.Settings(&s.config)
	s.storing = monitor.NewStage(monitor.StageOptions{
		Name: "object store", Cause: pressure.CauseStoreErrors, Off: !settings.StoreErrors.On(),
		Depth: s.objects.Depth, Probe: s.objects.Probe, Slow: s.config.Timeouts.Store,
		Interval: settings.Interval, Logger: s.log.Logger(),
	})
	s.publishing = monitor.NewStage(monitor.StageOptions{
		Name: "event log", Cause: pressure.CauseEventsErrors, Off: !settings.EventsErrors.On(),
		Depth: s.events.Depth, Probe: s.events.Probe, Slow: s.config.Timeouts.Message,
		Interval: settings.Interval, Logger: s.log.Logger(),
	})
	o := monitor.Options{
		Settings: settings,
		Local:    s.localInputs,
		Store:    s.storing,
		Events:   s.publishing,
		Observer: s.metrics,
		Logger:   s.log.Logger(),
	}
	if len(o.Settings.Lag.Groups) > 0 && s.events.OpenLag != nil {
		lag, err := s.events.OpenLag()
		if err != nil {
			return err
		}
		o.Lag = lag
	}
	s.monitor = monitor.New(o)
	return nil
}

// localInputs returns the inputs of the pressure gate that this process measures itself.
func (s *Server) localInputs(now time.Time) pressure.Inputs {
	in := pressure.Inputs{BodyMemory: bodyMemory(s.shared.Budget, s.shared.Parts)}
	in.UploadAge, in.StoreErrors = s.storing.Sample(now)
	_, in.EventsErrors = s.publishing.Sample(now)
	if s.events.Depth != nil {
		in.ProducerBuffer = ratio(s.events.Depth(), int64(s.config.Limits.Connections))
	}
	if s.events.Unread != nil {
		in.UnreadEvents = s.events.Unread()
	}
	in.OpenFiles = ratio(openFiles(), int64(s.config.Machine().Files))
	return in
}

// bodyMemory returns the fraction of body memory that has been in use since the last time:
// of the first budget, or of both if that is more. Parts fill their own budget whenever
// senders are faster than the store, so it does not count alone. A budget that is full for
// moments shares itself out.
func bodyMemory(bodies, parts *pipeline.Budget) float64 {
	used := bodies.LeastUsed()
	both := ratio(used+parts.LeastUsed(), bodies.Limit()+parts.Limit())
	return max(ratio(used, bodies.Limit()), both)
}

// ratio returns of/whole, 0 if the whole is unknown.
func ratio(of, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// openFiles returns the number of this process's descriptors, 0 if unknown.
func openFiles() int64 {
	const folder = "/proc/self/fd"
	// Since Linux 6.2 the size of the directory is the number of entries.
	if info, err := os.Stat(folder); err == nil && info.Size() > 0 {
		return info.Size()
	}
	f, err := os.Open(folder)
	if err != nil {
		return 0
	}
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	return int64(len(names))
}

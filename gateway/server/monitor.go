package server

import (
	"os"
	"time"

	"sluice/gateway/monitor"
	"sluice/gateway/pressure"
)

// openMonitor creates the monitor. The event log must be open.
func (s *Server) openMonitor() error {
	s.storing = monitor.NewStoreStats(s.metrics, s.objects.Depth)
	o := monitor.Options{
		Settings: monitor.Settings(&s.config),
		Local:    s.localInputs,
		Observer: s.metrics,
		Logger:   s.log.Logger(),
	}
	if s.objects.Probe != nil && o.Settings.StoreErrors.On() {
		o.Store = monitor.NewStoreProbe(s.objects.Probe, s.storing, o.Settings.Interval, o.Logger)
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
	budget := s.shared.Budget
	in := pressure.Inputs{BodyMemory: ratio(budget.Used(), budget.Limit())}
	in.UploadAge, in.StoreErrors = s.storing.Sample(now)
	if s.events.Depth != nil {
		in.ProducerBuffer = ratio(s.events.Depth(), int64(s.config.Limits.Connections))
	}
	in.OpenFiles = ratio(openFiles(), int64(s.config.Machine().Files))
	return in
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

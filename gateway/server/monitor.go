package server

import (
	"os"
	"time"

	"sluice/gateway/monitor"
	"sluice/gateway/pressure"
)

// openMonitor makes the monitor of a program whose log is open.
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

// localInputs returns the gate's inputs from inside this process.
func (s *Server) localInputs(now time.Time) pressure.Inputs {
	budget := s.shared.Budget
	in := pressure.Inputs{BodyMemory: part(budget.Used(), budget.Limit())}
	in.UploadAge, in.StoreErrors = s.storing.Sample(now)
	if s.events.Depth != nil {
		in.ProducerBuffer = part(s.events.Depth(), int64(s.config.Limits.Connections))
	}
	in.OpenFiles = part(openFiles(), int64(s.config.Machine().Files))
	return in
}

// part is a share of a whole, 0 when the whole is not known.
func part(of, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(of) / float64(whole)
}

// openFiles counts this process's descriptors, 0 when that is not known.
func openFiles() int64 {
	const folder = "/proc/self/fd"
	// Since Linux 6.2 the folder's size is their number.
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

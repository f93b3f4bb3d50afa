package main

import (
	"time"

	"sluice/gateway/config"
	"sluice/gateway/pressure"
	"sluice/pipeline/kafka"
)

// pressureSettings are the gate's, as the configuration has them.
func pressureSettings(c *config.Config) pressure.Settings {
	p := &c.Pressure
	s := pressure.Settings{
		Interval: p.Lag.Interval,
		Lag: pressure.LagSettings{
			Records:    pressure.Band{Low: float64(p.Lag.LowRecords), High: float64(p.Lag.HighRecords)},
			Age:        ageBand(p.Lag.LowAge, p.Lag.HighAge),
			StaleAfter: p.Lag.StaleAfter,
			OnStale: map[string]pressure.StalePolicy{
				config.StaleHold: pressure.Hold, config.StaleOpen: pressure.Open, config.StaleShed: pressure.Shed,
			}[p.Lag.OnStale],
		},
		BodyMemory:     percentBand(p.Memory),
		UploadAge:      ageBand(p.UploadAge.Low, p.UploadAge.High),
		ProducerBuffer: percentBand(p.ProducerBuffer),
		StoreErrors:    percentBand(p.StoreErrors),
		OpenFiles:      percentBand(p.OpenFiles),
	}
	if !c.DiscardsEvents() {
		s.Lag.Groups = p.Lag.Groups
	}
	for _, class := range p.Classes {
		s.Classes = append(s.Classes, pressure.Class{
			Name: class.Name, Networks: class.Networks, Authenticated: class.Authenticated,
			Records: pressure.Band{Low: float64(class.LowRecords), High: float64(class.HighRecords)},
			Age:     ageBand(class.LowAge, class.HighAge),
		})
	}
	return s
}

func percentBand(b config.PercentBand) pressure.Band {
	return pressure.Band{Low: float64(b.Low) / 100, High: float64(b.High) / 100}
}

func ageBand(low, high time.Duration) pressure.Band {
	return pressure.Band{Low: low.Seconds(), High: high.Seconds()}
}

// maxReading bounds one reading of the lag, which is many requests.
const maxReading = 5 * time.Second

// lagOptions say whose lag is read, from brokers as the log knows them.
func lagOptions(c *config.Config, log kafka.Options) kafka.LagOptions {
	return kafka.LagOptions{
		Options:           log,
		Groups:            c.Pressure.Lag.Groups,
		IgnoreUncommitted: c.Pressure.Lag.Uncommitted == config.UncommittedIgnore,
		ReadTimeout:       min(maxReading, c.Pressure.Lag.StaleAfter),
	}
}

// openWatch makes the watch of a program whose log is open.
func (p *Program) openWatch() error {
	p.storing = storePressure{meter: &storeMeter{Observer: p.metrics}, depth: p.objects.depth}
	o := watchOptions{
		Settings: pressureSettings(&p.config),
		Local:    p.localInputs,
		Observer: p.metrics,
		Logger:   p.log.Logger(),
	}
	if p.objects.probe != nil && o.Settings.StoreErrors.On() {
		o.Store = newStoreProbe(p.objects.probe, &p.storing, o.Settings.Interval, o.Logger)
	}
	if len(o.Settings.Lag.Groups) > 0 {
		lag, err := kafka.NewLagReader(lagOptions(&p.config, p.events.options))
		if err != nil {
			return err
		}
		o.Lag = lag
	}
	p.watch = newWatch(o)
	return nil
}

// pressureClasses are the names of the classes, as the metrics label them.
func pressureClasses(c *config.Config) []string {
	names := []string{pressure.DefaultClass}
	for _, class := range c.Pressure.Classes {
		names = append(names, class.Name)
	}
	return names
}

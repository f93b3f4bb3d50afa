package monitor

import (
	"time"

	"sluice/gateway/config"
	"sluice/gateway/pressure"
)

// Settings returns the settings of the gate.
func Settings(c *config.Config) pressure.Settings {
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
		EventsErrors:   percentBand(p.EventsErrors),
		UnreadEvents:   percentBand(p.UnreadEvents),
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

// Classes returns the names of the classes, as metrics label them.
func Classes(c *config.Config) []string {
	names := []string{pressure.DefaultClass}
	for _, class := range c.Pressure.Classes {
		names = append(names, class.Name)
	}
	return names
}

package metrics

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// open is the state of sluice_pressure_cause while nothing is shed.
const open = "open"

// pressure has the collectors of the pressure gate. They are set by its
// monitor, off the event loops.
type pressure struct {
	fraction *prometheus.GaugeVec
	cause    *prometheus.GaugeVec
	causes   []string

	records  *prometheus.GaugeVec
	age      *prometheus.GaugeVec
	readings *prometheus.CounterVec
	readAt   map[string]*atomic.Int64 // Unix nanoseconds, by group; read only
}

func (m *Metrics) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(vec)
	return vec
}

func (m *Metrics) addPressure(labels Labels) {
	p := &m.pressure
	p.causes = append([]string{open}, labels.PressureCauses...)
	p.fraction = m.gaugeVec("sluice_pressure_fraction",
		"Share of sessions that are told 421 because what stands behind falls behind, by class of clients.", "class")
	p.cause = m.gaugeVec("sluice_pressure_cause",
		"1 for the cause of sluice_pressure_fraction, 0 for all others.", "class", "cause")
	for _, class := range labels.PressureClasses {
		m.Pressure(class, 0, "")
	}
	p.records = m.gaugeVec("sluice_lag_records",
		"Records that a consumer group has not consumed; NaN while that is not known.", "group")
	p.age = m.gaugeVec("sluice_lag_age_seconds",
		"Age of the oldest record that a consumer group has not consumed; NaN while that is not known.", "group")
	p.readings = m.counterVec("sluice_lag_readings_total",
		"Readings of the lag, by result: ok, failed, or unknown_group for a consumer group that does not exist.", "group", "result")
	p.readAt = make(map[string]*atomic.Int64, len(labels.LagGroups))
	for _, group := range labels.LagGroups {
		m.addGroup(group)
	}
}

func (m *Metrics) addGroup(group string) {
	p := &m.pressure
	p.records.WithLabelValues(group).Set(math.NaN())
	p.age.WithLabelValues(group).Set(math.NaN())
	for _, result := range []string{ok, "failed", "unknown_group"} {
		p.readings.WithLabelValues(group, result)
	}
	at := new(atomic.Int64)
	at.Store(time.Now().UnixNano()) // a process that never reads is found by age too
	p.readAt[group] = at
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "sluice_lag_reading_age_seconds",
		Help:        "Time since the lag of a consumer group was last known, or since the start.",
		ConstLabels: prometheus.Labels{"group": group},
	}, func() float64 { return max(0, time.Since(time.Unix(0, at.Load())).Seconds()) }))
}

// Pressure tells the fraction of a class and its cause, "" for none.
func (m *Metrics) Pressure(class string, fraction float64, cause string) {
	if cause == "" {
		cause = open
	}
	m.pressure.fraction.WithLabelValues(class).Set(fraction)
	for _, c := range m.pressure.causes {
		is := 0.0
		if c == cause {
			is = 1
		}
		m.pressure.cause.WithLabelValues(class, c).Set(is)
	}
}

// LagRead tells the lag of a consumer group that was read now.
func (m *Metrics) LagRead(group string, records int64, seconds float64) {
	at, found := m.pressure.readAt[group]
	if !found {
		return
	}
	at.Store(time.Now().UnixNano())
	m.pressure.records.WithLabelValues(group).Set(float64(records))
	m.pressure.age.WithLabelValues(group).Set(seconds)
	m.pressure.readings.WithLabelValues(group, ok).Inc()
}

// LagNotRead tells that the lag of a consumer group could not be read: result is
// failed or unknown_group. An unknown group has no lag; after a failure the last
// reading stands, and its age says how much it is worth.
func (m *Metrics) LagNotRead(group, result string) {
	if _, found := m.pressure.readAt[group]; !found || result != "failed" && result != "unknown_group" {
		return
	}
	if result == "unknown_group" {
		m.pressure.records.WithLabelValues(group).Set(math.NaN())
		m.pressure.age.WithLabelValues(group).Set(math.NaN())
	}
	m.pressure.readings.WithLabelValues(group, result).Inc()
}

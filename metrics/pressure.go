package metrics

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// open is the label of sluice_pressure_cause while nothing is shed.
const open = "open"

// pressure holds the collectors of the pressure gate. The gate's monitor sets them,
// outside the event loops.
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
		"Fraction of new sessions shed with 421, by client class.", "class")
	p.cause = m.gaugeVec("sluice_pressure_cause",
		"1 for the current cause of sluice_pressure_fraction, 0 for all others, by client class.", "class", "cause")
	for _, class := range labels.PressureClasses {
		m.Pressure(class, 0, "")
	}
	p.records = m.gaugeVec("sluice_lag_records",
		"Records that a consumer group has not consumed; NaN while unknown.", "group")
	p.age = m.gaugeVec("sluice_lag_age_seconds",
		"Age of the oldest record that a consumer group has not consumed; NaN while unknown.", "group")
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
	at.Store(time.Now().UnixNano()) // so that the age also shows a process that never reads
	p.readAt[group] = at
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "sluice_lag_reading_age_seconds",
		Help:        "Time since the lag of a consumer group was last known, or since the start of the process.",
		ConstLabels: prometheus.Labels{"group": group},
	}, func() float64 { return max(0, time.Since(time.Unix(0, at.Load())).Seconds()) }))
}

// Pressure sets the fraction of a class and its cause, "" for none.
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

// LagRead records the lag of a consumer group that was just read.
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

// LagNotRead records a failed reading of a consumer group's lag. result is failed or
// unknown_group. An unknown group has no lag. After a failure the last reading remains,
// and its age shows how much it is worth.
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

package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// byLabel holds one collector for each known value of a label. It is immutable, so event
// loops read it without a lock; the Vecs of the client library lock and hash at every
// lookup.
type byLabel[T any] struct {
	known map[string]T
	other T
}

func newByLabel[T any](values []string, child func(value string) T) byLabel[T] {
	b := byLabel[T]{known: make(map[string]T, len(values)), other: child(other)}
	for _, value := range values {
		b.known[value] = child(value)
	}
	return b
}

func (b *byLabel[T]) at(value string) T {
	if child, found := b.known[value]; found {
		return child
	}
	return b.other
}

// replies holds the counters of sluice_replies_total. An unknown cause keeps its code
// when the code is known, because the code alone says what the client saw.
type replies struct {
	known  map[Reply]prometheus.Counter
	byCode map[int]prometheus.Counter // cause "other"
	other  prometheus.Counter
}

func newReplies(vec *prometheus.CounterVec, pairs []Reply) replies {
	r := replies{
		known:  make(map[Reply]prometheus.Counter, len(pairs)),
		byCode: make(map[int]prometheus.Counter),
		other:  vec.WithLabelValues(other, other),
	}
	for _, pair := range pairs {
		code := strconv.Itoa(pair.Code)
		r.known[pair] = vec.WithLabelValues(code, pair.Cause)
		r.byCode[pair.Code] = vec.WithLabelValues(code, other)
	}
	return r
}

func (r *replies) at(code int, cause string) prometheus.Counter {
	if child, found := r.known[Reply{Code: code, Cause: cause}]; found {
		return child
	}
	if child, found := r.byCode[code]; found {
		return child
	}
	return r.other
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

// level registers a gauge whose value is kept in this package.
func (m *Metrics) level(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(vec)
	return vec
}

func (m *Metrics) counters(name, help, label string, values []string) byLabel[prometheus.Counter] {
	vec := m.counterVec(name, help, label)
	return newByLabel(values, func(value string) prometheus.Counter { return vec.WithLabelValues(value) })
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// histograms registers a histogram with the label result.
func (m *Metrics) histograms(name, help string, buckets []float64, results []string) byLabel[prometheus.Observer] {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"result"})
	m.registry.MustRegister(vec)
	return newByLabel(results, func(result string) prometheus.Observer { return vec.WithLabelValues(result) })
}

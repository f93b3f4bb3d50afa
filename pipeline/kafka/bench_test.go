package kafka_test

import (
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/stack"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// slot publishes one event after the other.
type slot struct {
	log  *kafka.Log
	left func() bool
	done *sync.WaitGroup
	m    *pipeline.Message
	b    *testing.B
}

// Post is the message's door.
func (s *slot) Post(*pipeline.Parcel) {
	if s.m.Err != nil {
		s.b.Errorf("publish: %v", s.m.Err)
	}
	s.next()
}

func (s *slot) next() {
	if !s.left() {
		s.done.Done()
		return
	}
	s.m = porttest.Stored()
	s.m.Door = s
	s.log.Publish(s.m)
}

// BenchmarkPublish has 500 events under way on a real broker, and beside it the
// client alone with the same records.
func BenchmarkPublish(b *testing.B) {
	const inFlight = 500
	k := stack.Kafka(b)
	if err := k.CreateTopic(b.Context(), topic, 6, nil); err != nil {
		b.Fatal(err)
	}
	for compression, lingers := range map[string][]time.Duration{
		"none": {0}, "snappy": {0}, "zstd": {0}, "lz4": {0, time.Millisecond, 5 * time.Millisecond},
	} {
		for _, linger := range lingers {
			b.Run(compression+"/linger="+linger.String(), func(b *testing.B) {
				l, err := kafka.Open(b.Context(), kafka.Options{
					Brokers: []string{k.Bootstrap}, Topic: topic, Linger: linger, Compression: compression,
				})
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				var lock sync.Mutex
				left := b.N
				take := func() bool {
					lock.Lock()
					defer lock.Unlock()
					left--
					return left >= 0
				}
				var done sync.WaitGroup
				done.Add(inFlight)
				b.ResetTimer()
				for range inFlight {
					go (&slot{log: l, left: take, done: &done, b: b}).next()
				}
				done.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
	b.Run("client alone", func(b *testing.B) { benchmarkClient(b, k.Bootstrap, inFlight) })
}

func benchmarkClient(b *testing.B, broker string, inFlight int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	slots := make(chan struct{}, inFlight)
	b.ResetTimer()
	for range b.N {
		slots <- struct{}{}
		m := porttest.Stored()
		r := &kgo.Record{Key: m.ID.Append(nil), Value: pipeline.AppendEvent(nil, m)}
		client.Produce(b.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	for range inFlight {
		slots <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

package kafka_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"

	"sluice/loadtest/stack"
	"sluice/pipeline"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// slot publishes events one after another.
type slot struct {
	log  *kafka.Log
	left func() bool
	done *sync.WaitGroup
	m    *pipeline.Message
	b    *testing.B
}

// Post takes the result of the message.
func (s *slot) Post(*pipeline.Task) {
	if s.m.Result.Err != nil {
		s.b.Errorf("publish: %v", s.m.Result.Err)
	}
	s.next()
}

func (s *slot) next() {
	if !s.left() {
		s.done.Done()
		return
	}
	s.m = porttest.Stored()
	s.m.Loop = s
	s.log.Publish(s.m)
}

// BenchmarkPublish keeps 500 events in flight on a real broker. For comparison it does
// the same with the bare client.
func BenchmarkPublish(b *testing.B) {
	k := stack.Kafka(b)
	if err := k.CreateTopic(b.Context(), topic, 6, nil); err != nil {
		b.Fatal(err)
	}
	// The JVM of the broker needs to warm up, else the first benchmark is slow.
	benchmarkLog(b, 20000, kafka.Options{Brokers: []string{k.Bootstrap}, Topic: topic})
	for _, way := range []struct {
		compression string
		linger      time.Duration
	}{
		{"none", 0},
		{"snappy", 0},
		{"lz4", 0},
		{"zstd", 0},
		{"snappy", time.Millisecond},
		{"snappy", 5 * time.Millisecond},
	} {
		b.Run(way.compression+"/linger="+way.linger.String(), func(b *testing.B) {
			before := cpu(b)
			b.ResetTimer()
			benchmarkLog(b, b.N, kafka.Options{
				Brokers: []string{k.Bootstrap}, Topic: topic, Linger: way.linger, Compression: way.compression,
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/event")
		})
	}
	b.Run("client alone", func(b *testing.B) { benchmarkClient(b, k.Bootstrap) })
}

// inFlight is the number of events in flight.
const inFlight = 500

// benchmarkLog publishes n events, inFlight at a time.
func benchmarkLog(b *testing.B, n int, o kafka.Options) {
	l, err := kafka.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var left atomic.Int64
	left.Store(int64(n))
	var done sync.WaitGroup
	done.Add(inFlight)
	for range inFlight {
		s := &slot{log: l, left: func() bool { return left.Add(-1) >= 0 }, done: &done, b: b}
		go s.next()
	}
	done.Wait()
}

// cpu returns the CPU time of this process, without the broker.
func cpu(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func benchmarkClient(b *testing.B, broker string) {
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

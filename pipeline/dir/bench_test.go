package dir

import (
	"fmt"
	"testing"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// BenchmarkPut stores messages of 10 KiB with 50 in flight.
func BenchmarkPut(b *testing.B) {
	for _, concurrency := range []int{4, 16, 32} {
		b.Run(fmt.Sprintf("writers=%d", concurrency), func(b *testing.B) {
			s, err := Open(Options{Path: b.TempDir(), Concurrency: concurrency})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			free := make(chan *pipeline.Message, 50)
			for range cap(free) {
				free <- porttest.NewMessage(make([]byte, 10<<10))
			}
			b.ResetTimer()
			n := uint64(0)
			for b.Loop() {
				m := <-free
				if m.Result.Err != nil {
					b.Fatal(m.Result.Err)
				}
				n++
				m.ID = pipeline.NewID(m.ID.Time(), fixed(n<<8))
				m.Loop = returnPoster{m, free}
				s.Put(m)
			}
			for range cap(free) {
				<-free
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

type returnPoster struct {
	m    *pipeline.Message
	free chan *pipeline.Message
}

func (d returnPoster) Post(*pipeline.Task) { d.free <- d.m }

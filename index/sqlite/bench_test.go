package sqlite

import (
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"sluice/index"
	"sluice/internal/testkit"
)

// BenchmarkInsert inserts batches of 500 rows of 10 KiB mail, with 4 KiB of text and
// without. An operation is a message.
func BenchmarkInsert(b *testing.B) {
	for name, words := range map[string]int{"text=0": 0, "text=4KiB": 340} {
		b.Run(name, func(b *testing.B) {
			s := openNew(b)
			rows := messages(b.N+499, words)
			terms := 0
			for _, m := range rows {
				terms += len(m.Terms)
			}
			runtime.GC()
			b.ReportAllocs()
			b.ResetTimer()
			cpu := testkit.CPU(b, 1, func() {
				for i := 0; i < b.N; i += 500 {
					if _, err := s.Insert(b.Context(), rows[i:min(i+500, b.N)]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			info, err := os.Stat(s.path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(cpu.Seconds()/float64(b.N)*10_000, "CPU-s/10000")
			b.ReportMetric(float64(info.Size())/float64(b.N), "disk-B/op")
			b.ReportMetric(float64(terms)/float64(len(rows)), "terms/op")
		})
	}
}

// BenchmarkFind searches among 200,000 messages, or ROWS.
func BenchmarkFind(b *testing.B) {
	count := 200_000
	if n, err := strconv.Atoi(os.Getenv("ROWS")); err == nil {
		count = n
	}
	s := openNew(b)
	var one *index.Message
	for done := 0; done < count; done += 5000 {
		rows := messagesFrom(noon.Add(time.Duration(done)*2*time.Millisecond), uint64(done), 5000, 100)
		for i := 0; i < len(rows); i += 500 {
			if _, err := s.Insert(b.Context(), rows[i:i+500]); err != nil {
				b.Fatal(err)
			}
		}
		if done <= count/2 {
			one = rows[0]
		}
	}
	for name, q := range map[string]index.Query{
		"newest":            {},
		"common":            {Terms: []string{"s:invoice"}},
		"rare":              {Terms: []string{"m:" + one.Header.MessageID}},
		"common and rare":   {Terms: []string{"m:" + one.Header.MessageID, "s:invoice"}},
		"common and common": {Terms: []string{"s:invoice", "x:w3"}},
		"none":              {Terms: []string{"s:nowhere"}},
		"client":            {Client: oneClient(one, 32)},
		"network":           {Client: oneClient(one, 20)},
		"hour":              {Since: one.ReceivedAt, Until: one.ReceivedAt.Add(time.Minute), Terms: []string{"s:invoice"}},
		"page in the midst": {Cursor: one.ID.String(), Terms: []string{"s:invoice"}},
	} {
		q.Limit = index.DefaultLimit
		b.Run(name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				page, err := s.Find(b.Context(), &q)
				if err != nil {
					b.Fatal(err)
				}
				found = len(page.Messages)
			}
			b.ReportMetric(float64(found), "found")
		})
	}
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Get(b.Context(), one.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("delete 500", func(b *testing.B) {
		var slowest time.Duration
		for b.Loop() {
			began := time.Now()
			n, err := s.deleteSome(b.Context(), seqBefore(one.ReceivedAt))
			if err != nil {
				b.Fatal(err)
			}
			if n == 0 {
				b.Fatal("nothing is left: use -benchtime 50x")
			}
			slowest = max(slowest, time.Since(began))
		}
		b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
	})
}

// oneClient returns a network that the client of m is in.
func oneClient(m *index.Message, bits int) netip.Prefix {
	return netip.PrefixFrom(m.Client.Address, bits).Masked()
}

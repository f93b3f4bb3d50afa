package indexer_test

import (
	"bytes"
	"testing"
	"time"

	"sluice/index/indexer"
)

// BenchmarkIndexer indexes mails of 10 KiB in packs of 50, with a store and a database
// that take no time.
func BenchmarkIndexer(b *testing.B) {
	w := newWorld(b, 3)
	line := []byte("The quick brown fox jumps over the lazy dog, again and again and again.\r\n")
	body := bytes.Repeat(line, 10<<10/len(line))
	mail := append([]byte("From: <a@example.org>\r\nTo: <b@example.net>\r\nSubject: a benchmark\r\n"+
		"Message-ID: <1@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"), body...)
	pack := make([][]byte, 50)
	for i := range pack {
		pack[i] = mail
	}
	for left := b.N; left > 0; left -= len(pack) {
		w.publish(w.pack(512, pack[:min(left, len(pack))]...)...)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(mail)))
	b.ResetTimer()
	defer w.start(func(o *indexer.Options) { o.Batch, o.Workers, o.Text = 500, 0, 4<<10 })()
	for !w.atEnd() {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

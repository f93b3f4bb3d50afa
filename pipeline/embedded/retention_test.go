package embedded

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func startHere(t *testing.T, o Options) *Broker {
	t.Helper()
	o.Address, o.Topic = "127.0.0.1:0", "mail.received"
	b, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func produceHere(t *testing.T, b *Broker, events, size int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic(b.options.Topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range events {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, size)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// confirm waits until what was produced is durable.
func confirm(t *testing.T, b *Broker) {
	t.Helper()
	result := make(chan error, 1)
	b.Confirm(func(err error) { result <- err })
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// span returns the first and the next offset of partition 0.
func span(t *testing.T, b *Broker) (start, end int64) {
	t.Helper()
	admin := kadm.NewClient(b.client)
	starts, err := admin.ListStartOffsets(t.Context(), b.options.Topic)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), b.options.Topic)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := starts.Lookup(b.options.Topic, 0)
	next, _ := ends.Lookup(b.options.Topic, 0)
	return first.Offset, next.Offset
}

func diskUse(t *testing.T, folder string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestRetentionBySize checks that old events and their files are deleted.
func TestRetentionBySize(t *testing.T) {
	const limit = 8 << 20
	o := Options{DataDir: t.TempDir(), RetentionBytes: limit}
	b := startHere(t, o)
	produceHere(t, b, 40, 500<<10)
	if use := diskUse(t, o.DataDir); use < 2*limit {
		t.Fatalf("%d bytes on disk, too few for this test", use)
	}
	confirm(t, b)
	b.cluster.ApplyRetention()
	confirm(t, b) // takes no deleted segment for a removed one
	start, end := span(t, b)
	if start < 20 || start >= end || end != 40 {
		t.Errorf("offsets %d to %d", start, end)
	}
	if use := diskUse(t, o.DataDir); use > limit*5/4 {
		t.Errorf("%d bytes on disk, limit %d", use, limit)
	}
}

// TestRetentionByAge checks that old events are deleted and that offsets continue after a
// kill. It copies the folder, as a killed broker would leave it.
func TestRetentionByAge(t *testing.T) {
	o := Options{DataDir: t.TempDir(), Retention: time.Hour}
	b := startHere(t, o)
	produceHere(t, b, 10, 100)
	if err := b.expire(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkSpan(t, b, "0 10")
	if err := b.expire(time.Now().Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	checkSpan(t, b, "9 10")

	left := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(left, os.DirFS(o.DataDir)); err != nil {
		t.Fatal(err)
	}
	again := startHere(t, Options{DataDir: left})
	if _, end := span(t, again); end != 10 {
		t.Errorf("after a kill the next offset is %d, want 10", end)
	}
}

func checkSpan(t *testing.T, b *Broker, want string) {
	t.Helper()
	start, end := span(t, b)
	if got := fmt.Sprint(start, end); got != want {
		t.Errorf("offsets %s, want %s", got, want)
	}
}

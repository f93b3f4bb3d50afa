package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	if err := b.applyRetention(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkSpan(t, b, "0 10")
	if err := b.applyRetention(time.Now().Add(2 * time.Hour)); err != nil {
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

// TestUnread checks that events which a group has not read count against the limit, that
// their deletion is a warning, and that the deletion of events which were read is none.
func TestUnread(t *testing.T) {
	var lines bytes.Buffer
	b := startHere(t, Options{
		DataDir: t.TempDir(), RetentionBytes: 8 << 20, Groups: []string{"indexer"},
		Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	produceHere(t, b, 20, 500<<10)
	checkUnread(t, b, 20*500<<10)
	commit(t, b, 5)
	checkUnread(t, b, 15*500<<10)
	if err := b.applyRetention(time.Now()); err != nil {
		t.Fatal(err)
	}
	if lines.Len() > 0 {
		t.Errorf("a warning of events that were read: %s", lines.String())
	}
	produceHere(t, b, 4, 500<<10)
	if err := b.applyRetention(time.Now()); err != nil {
		t.Fatal(err)
	}
	start, _ := span(t, b)
	want := fmt.Sprintf("group=indexer events=%d by=events.embedded.retention_bytes\n", start-5)
	if start <= 5 || !strings.HasSuffix(lines.String(), want) {
		t.Errorf("offsets from %d: %q, want %q", start, lines.String(), want)
	}
	if n := b.DeletedUnread()[bySize](); n != start-5 || b.DeletedUnread()[byAge]() != 0 {
		t.Errorf("%d events counted, want %d", n, start-5)
	}
}

// TestUnreadIsReportedLater lets the question fail what retention has deleted, and the
// group commit what is left before it is asked again: the events that were deleted unread
// are counted once.
func TestUnreadIsReportedLater(t *testing.T) {
	var lines bytes.Buffer
	b := startHere(t, Options{
		DataDir: t.TempDir(), RetentionBytes: 8 << 20, Groups: []string{"indexer"},
		Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	produceHere(t, b, 40, 500<<10)
	commit(t, b, 5)
	asked := 0
	b.cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if asked++; asked != 2 { // the second is after the first rule
			return nil, nil, false
		}
		request := r.(*kmsg.ListOffsetsRequest)
		response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range request.Topics {
			refused := kmsg.NewListOffsetsResponseTopic()
			refused.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				p := kmsg.NewListOffsetsResponseTopicPartition()
				p.Partition, p.ErrorCode = partition.Partition, kerr.TopicAuthorizationFailed.Code
				refused.Partitions = append(refused.Partitions, p)
			}
			response.Topics = append(response.Topics, refused)
		}
		return response, nil, true
	})
	if err := b.applyRetention(time.Now()); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("the fault was not met: %v", err)
	}
	start, end := span(t, b)
	if start <= 5 || lines.Len() > 0 {
		t.Fatalf("offsets from %d, logged %q", start, lines.String())
	}
	commit(t, b, end)
	for range 2 {
		if err := b.applyRetention(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprintf("group=indexer events=%d by=events.embedded.retention_bytes\n", start-5)
	if n := b.DeletedUnread()[bySize](); n != start-5 || strings.Count(lines.String(), want) != 1 {
		t.Errorf("%d events counted, want %d; logged %q", n, start-5, lines.String())
	}
}

// TestNobodyReads checks that the deletion of events before their time is a warning also
// if there is no group.
func TestNobodyReads(t *testing.T) {
	var lines bytes.Buffer
	b := startHere(t, Options{
		DataDir: t.TempDir(), RetentionBytes: 4 << 20, Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	produceHere(t, b, 20, 500<<10)
	if err := errors.Join(b.measure(), b.applyRetention(time.Now())); err != nil {
		t.Fatal(err)
	}
	if b.Unread() != 0 || strings.Count(lines.String(), "level=WARN") != 1 {
		t.Errorf("unread %v, logged %q", b.Unread(), lines.String())
	}
}

// TestNoLimit checks that without RetentionBytes nothing is deleted for its size.
func TestNoLimit(t *testing.T) {
	b := startHere(t, Options{DataDir: t.TempDir()})
	produceHere(t, b, 20, 500<<10)
	if err := b.applyRetention(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkSpan(t, b, "0 20")
}

// checkUnread compares Unread with this many bytes, within the share of one event.
func checkUnread(t *testing.T, b *Broker, want float64) {
	t.Helper()
	if err := b.measure(); err != nil {
		t.Fatal(err)
	}
	if got := b.Unread() * float64(b.options.RetentionBytes); math.Abs(got-want) > 500<<10 {
		t.Errorf("%.0f bytes are unread, want about %.0f", got, want)
	}
}

// commit commits this offset for the group indexer.
func commit(t *testing.T, b *Broker, offset int64) {
	t.Helper()
	at := kadm.Offsets{}
	at.AddOffset(b.options.Topic, 0, offset, -1)
	if err := kadm.NewClient(b.client).CommitAllOffsets(t.Context(), "indexer", at); err != nil {
		t.Fatal(err)
	}
}

// TestLostEvents starts on a folder that a loss of power has left: an event that was read
// before it was durable is gone, and its commit is not. The next event must be read.
func TestLostEvents(t *testing.T) {
	o := Options{DataDir: t.TempDir()}
	b := startHere(t, o)
	produceHere(t, b, 3, 100)
	left := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(left, os.DirFS(o.DataDir)); err != nil {
		t.Fatal(err)
	}
	produceHere(t, b, 2, 100)
	commit(t, b, 5)
	commits, err := os.ReadFile(filepath.Join(o.DataDir, "groups.log"))
	if err == nil {
		err = os.WriteFile(filepath.Join(left, "groups.log"), commits, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := startHere(t, Options{DataDir: left})
	readers, err := groups(t.Context(), kadm.NewClient(again.client), again.options.Topic, nil)
	if err != nil || len(readers) != 1 || readers[0].next[0] != 3 {
		t.Errorf("groups %v, want a commit of 3: %v", readers, err)
	}
}

func checkSpan(t *testing.T, b *Broker, want string) {
	t.Helper()
	start, end := span(t, b)
	if got := fmt.Sprint(start, end); got != want {
		t.Errorf("offsets %s, want %s", got, want)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"regexp"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/internal/testkit"
	"sluice/loadtest/process"
	"sluice/pipeline"
)

// inventory reads the whole topic and the whole store of a running gateway with clients
// that are not Sluice's, and checks that they agree. It returns each stored message below
// what Sluice added, by id, and its event.
func inventory(t *testing.T, gateway *process.Sluice) (messages map[string][]byte, events map[string]*pipeline.Event) {
	t.Helper()
	return agree(t, gateway, topic(t, gateway))
}

// agree checks the whole store of a gateway against the whole topic: one stored message
// for each event, one event for each message, sizes and digests as announced. It returns
// what inventory does.
func agree(
	t *testing.T, gateway *process.Sluice, records []*kgo.Record,
) (messages map[string][]byte, events map[string]*pipeline.Event) {
	t.Helper()
	messages, events = map[string][]byte{}, map[string]*pipeline.Event{}
	for _, record := range records {
		e, err := pipeline.ParseEvent(record.Value)
		if err != nil {
			t.Fatalf("%q: %v", record.Value, err)
		}
		id := e.ID.String()
		if string(record.Key) != id {
			t.Errorf("key %q of the event of %s", record.Key, id)
		}
		if _, twice := events[id]; twice {
			t.Errorf("%s was announced twice", id)
		}
		events[id] = e
		messages[id] = object(t, gateway, e)
	}
	stored := countMessages(t, gateway)
	if stored != len(events) {
		t.Errorf("%d messages in the store, %d events", stored, len(events))
	}
	return messages, events
}

// addedField is what Sluice writes on top: Received, above it the verdict on a message that
// was verified, and below it a blank line or the
// name of a field when the text does not begin with one of its own.
var addedField = regexp.MustCompile(`\A(?:Authentication-Results: [^\r\n]+\r\n(?:\t[^\r\n]+\r\n)+)?Received: [^\r\n]+\r\n(\t[^\r\n]+\r\n)+(\r\n|X-Mailbox-Line: )?\z`)

// object reads and checks the object of one event and gives the part below the
// added headers.
func object(t *testing.T, gateway *process.Sluice, e *pipeline.Event) []byte {
	t.Helper()
	whole := readObject(t, gateway, e)
	if (e.Blob.Offset != 0) != (e.Blob.Container == pipeline.ContainerTar) || e.Blob.Length != int64(len(whole)) || e.Blob.Added <= 0 || e.Blob.Added > e.Blob.Length {
		t.Fatalf("%s: blob %+v, but the object has %d octets", e.ID, e.Blob, len(whole))
	}
	if crc := crc32.Checksum(whole, crc32.MakeTable(crc32.Castagnoli)); crc != e.Blob.CRC32C {
		t.Errorf("%s: crc32c %08x is not the object's", e.ID, e.Blob.CRC32C)
	}
	added, message := whole[:e.Blob.Added], whole[e.Blob.Added:]
	if !addedField.Match(added) || !bytes.Contains(added, []byte(e.ID.String())) {
		t.Errorf("%s: added %q", e.ID, added)
	}
	digest := sha256.Sum256(message)
	if digest != e.Message.SHA256 || int64(len(message)) != e.Message.Size {
		t.Errorf("%s: the message has %d octets and digest %x; announced were %+v", e.ID, len(message), digest, e.Message)
	}
	return message
}

// topic reads all records of the topic with a client of its own.
func topic(t *testing.T, gateway *process.Sluice) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(gateway.Events), kgo.ConsumeTopics(gateway.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left := endOf(t, client, gateway)
	var records []*kgo.Record
	for int64(len(records)) < left {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d of %d events: %v", len(records), left, err)
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

// endOf returns the number of events in the gateway's topic.
func endOf(t *testing.T, client *kgo.Client, gateway *process.Sluice) (events int64) {
	t.Helper()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), gateway.Topic)
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	ends.Each(func(end kadm.ListedOffset) { events += end.Offset })
	return events
}

// awaitEvents waits until the gateway's topic has at least so many events.
func awaitEvents(t *testing.T, gateway *process.Sluice, events int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(gateway.Events))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	testkit.Eventually(t, fmt.Sprintf("there are %d events", events), func() bool { return endOf(t, client, gateway) >= int64(events) })
}

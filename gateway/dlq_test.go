package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
)

// TestDLQ lists dead letters, and publishes them again.
func TestDLQ(t *testing.T) {
	data := t.TempDir()
	broker, err := embedded.Start(embedded.Options{Address: "127.0.0.1:0", DataDir: data, Topic: "mail.received", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	}()
	dlq := func(args ...string) ran {
		return run([]string{"SLUICE_EVENTS_EMBEDDED_ADDRESS=" + broker.Addr()}, nil, append([]string{"dlq"}, args...)...)
	}
	for _, command := range []string{"list", "replay"} {
		if got := dlq(command); got.code != exitNothing || got.out != "" {
			t.Errorf("%s without any: %+v", command, got)
		}
	}
	letters := kafka.NewDeadLetters(kafka.Options{Brokers: []string{broker.Addr()}, Topic: "mail.received"}, "indexer")
	defer letters.Close()
	const id = "01920000-0000-7000-8000-000000000000"
	if err := letters.Put(t.Context(), []pipeline.Record{{
		Topic: "mail.received", Offset: 7, Key: []byte(id), Value: []byte("{}"), Timestamp: time.Now(),
	}}, []string{"no such object \x1b[31m"}); err != nil {
		t.Fatal(err)
	}
	if got := dlq("list"); got.code != exitOK || !strings.Contains(got.out, id) || !strings.Contains(got.out, "no such object") || strings.Contains(got.out, "\x1b") {
		t.Errorf("%+v", got)
	}
	var line letterLine
	if got := dlq("list", "--json"); json.Unmarshal([]byte(got.out), &line) != nil || line.ID != id || line.Offset != 7 || line.Event != "{}" {
		t.Errorf("%+v: %+v", got, line)
	}
	if got := dlq("replay"); got.code != exitOK || !strings.Contains(got.err, "1 events published again") {
		t.Errorf("%+v", got)
	}
	if got := dlq("list"); got.code != exitNothing {
		t.Errorf("after it was published again: %+v", got)
	}
}

package embedded

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"sluice/internal/panics"
)

// TestNewPartition lets the topic grow by a partition: with its first events the file that
// says so is made durable too. Without it they would not be found.
func TestNewPartition(t *testing.T) {
	data := t.TempDir()
	o := Options{DataDir: data, Topic: "mail", Partitions: 1}
	topics := filepath.Join(data, topicsFile)
	if err := errors.Join(makePartitions(o), os.WriteFile(topics, []byte("1"), 0o600)); err != nil {
		t.Fatal(err)
	}
	state, err := newFolder(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &flusher{events: []*partitions{newPartitions(o.DataDir, o.Topic, nil)}, state: state, limit: 1, logger: slog.New(slog.DiscardHandler)}
	defer f.close()
	if err := f.flush(true); err != nil {
		t.Fatal(err)
	}
	o.Partitions = 2
	if err := errors.Join(makePartitions(o), os.WriteFile(topics, []byte("two"), 0o600), f.flush(false)); err != nil {
		t.Fatal(err)
	}
	if got := state.files[topicsFile].size; got != int64(len("two")) {
		t.Errorf("%d bytes of %s are durable", got, topicsFile)
	}
}

// TestPanicOfOneEvent lets the answer to an event panic. The others have theirs.
func TestPanicOfOneEvent(t *testing.T) {
	panics.Notify(func(panics.Place, any, []byte) {})
	data := t.TempDir()
	o := Options{DataDir: data, Topic: "mail", Partitions: 1}
	if err := makePartitions(o); err != nil {
		t.Fatal(err)
	}
	state, err := newFolder(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := &flusher{events: []*partitions{newPartitions(o.DataDir, o.Topic, nil)}, state: state, limit: 8, logger: slog.New(slog.DiscardHandler)}
	results := make(chan error, 2)
	f.waiting = []func(error){func(err error) { results <- err }, func(error) { panic("answer") }, func(err error) { results <- err }}
	if err := f.start(); err != nil {
		t.Fatal(err)
	}
	f.wake <- struct{}{}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	f.end()
	f.close()
}

package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// childFolder makes this test binary a broker with producers on that folder. The binary
// prints the key of each acknowledged event until it is killed.
const (
	childFolder = "SLUICE_TEST_EMBEDDED_FOLDER"
	childEvents = "SLUICE_TEST_EMBEDDED_EVENTS" // exit after this many events, unless killed before
	// childShort makes the child publish without a free descriptor, and then with some.
	childShort = "SLUICE_TEST_EMBEDDED_SHORT"
	// childLarge makes the child publish large events one at a time into small segments.
	childLarge = "SLUICE_TEST_EMBEDDED_LARGE"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		if err := runChild(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// publishers is the number of events that a child has in flight.
const publishers = 32

func runChild(folder string) error {
	at, publishers, message := embedded.Options{Address: "127.0.0.1:0", DataDir: folder, Topic: topic}, publishers, porttest.Stored
	compression := ""
	if os.Getenv(childLarge) != "" {
		at.RetentionBytes, compression, publishers = 4<<20, "none", 1
		message = func() *pipeline.Message { return porttest.Extremes()["1000 recipients"] }
	}
	b, err := embedded.Start(at)
	if err != nil {
		return err
	}
	log, err := kafka.Open(context.Background(), kafka.Options{
		Brokers: []string{b.Addr()}, Topic: topic, Durable: b, Compression: compression,
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if os.Getenv(childShort) != "" {
		announce(log, message())
		free, err := takeDescriptors()
		announce(log, message())
		free()
		announce(log, message())
		return errors.Join(err, log.Close(), b.Close())
	}
	limit, err := strconv.Atoi(os.Getenv(childEvents))
	if err != nil {
		limit = math.MaxInt
	}
	var group sync.WaitGroup
	var next atomic.Int64
	for range publishers {
		group.Go(func() {
			for int(next.Add(1)) <= limit {
				announce(log, message())
			}
		})
	}
	group.Wait()
	if err := errors.Join(log.Close(), b.Close()); err != nil {
		fmt.Println("failed: " + err.Error())
	}
	return nil
}

// announce publishes an event, and prints its key if it was acknowledged and else the
// error.
func announce(log pipeline.EventLog, m *pipeline.Message) {
	line := m.ID.String()
	sent, err := porttest.Announce(log, m)
	if err = errors.Join(err, sent.Err); err != nil {
		line = "failed: " + err.Error()
	}
	fmt.Println(line) // one write call: the line is out before the next event
}

// TestKill kills a broker under load and restarts it, several times. No acknowledged
// event may be lost.
func TestKill(t *testing.T) {
	o := options(t)
	o.Partitions = 2
	acknowledged := map[string]bool{}
	const rounds, events = 3, 500
	for range rounds {
		killChild(t, o.DataDir, events, acknowledged)
	}
	b := start(t, o)
	for value := range readAll(t, b) {
		delete(acknowledged, value)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged events are lost", len(acknowledged))
	}
}

// readAll returns how often each key is in the topic.
func readAll(t *testing.T, b *embedded.Broker) map[string]int {
	t.Helper()
	ends, err := kadm.NewClient(connect(t, b)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	var left int64
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	values := map[string]int{}
	consumer := connect(t, b, kgo.ConsumeTopics(topic))
	for left > 0 {
		fetches := consumer.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values[string(r.Key)]++ })
		left -= int64(fetches.NumRecords())
	}
	return values
}

// killChild runs a child until it has acknowledged this many events, and kills it.
func killChild(t *testing.T, folder string, events int, acknowledged map[string]bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childFolder+"="+folder)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the child said %q: %v", line, err)
	}
	for n := 0; ; n++ {
		if n == events {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			break // all that it wrote was read; an incomplete line does not count
		}
		acknowledged[strings.TrimSuffix(line, "\n")] = true
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

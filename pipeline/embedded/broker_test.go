package embedded_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/pipeline/embedded"
)

const topic = "mail.received"

func options(t *testing.T) embedded.Options {
	return embedded.Options{Address: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "kafka"), Topic: topic}
}

func start(t *testing.T, o embedded.Options) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(o)
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

func connect(t *testing.T, b *embedded.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(b.Addr()), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func produce(t *testing.T, client *kgo.Client, value string) {
	t.Helper()
	if err := client.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	running := options(t)
	start(t, running)
	for name, test := range map[string]struct {
		change func(o *embedded.Options)
		want   string
	}{
		"address in use":     {func(o *embedded.Options) { o.Address = taken.Addr().String() }, "is in use by another process"},
		"not loopback":       {func(o *embedded.Options) { o.Address = "0.0.0.0:9094" }, "is not a loopback address"},
		"no host":            {func(o *embedded.Options) { o.Address = ":9094" }, "is not a loopback address"},
		"not an address":     {func(o *embedded.Options) { o.Address = "9094" }, "9094"},
		"data folder in use": {func(o *embedded.Options) { o.DataDir = running.DataDir }, "is in use by another process"},
		"no topic":           {func(o *embedded.Options) { o.Topic = "" }, "needed"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			test.change(&o)
			_, err := embedded.Start(o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestRestart checks that after Close the same folder and address serve the same events
// at the same offsets, with the settings of the new start.
func TestRestart(t *testing.T) {
	o := options(t)
	b := start(t, o)
	o.Address = b.Addr()
	produce(t, connect(t, b), "first")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	o.RetentionBytes = 64 << 20
	b = start(t, o)
	if b.Addr() != o.Address {
		t.Errorf("address %s, want %s", b.Addr(), o.Address)
	}
	produce(t, connect(t, b), "second")
	records := connect(t, b, kgo.ConsumeTopics(topic)).PollFetches(t.Context()).Records()
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%d %s", r.Offset, r.Value))
	}
	if want := "[0 first 1 second]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	configs, err := kadm.NewClient(connect(t, b)).DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == "retention.bytes" && c.MaybeValue() != "67108864" {
			t.Errorf("retention.bytes %s", c.MaybeValue())
		}
	}
}

// TestGroup commits offsets as a consumer group does and reads its lag, before and after
// a restart.
func TestGroup(t *testing.T) {
	o := options(t)
	b := start(t, o)
	client := connect(t, b)
	for i := range 10 {
		produce(t, client, fmt.Sprint(i))
	}
	consumer := connect(t, b, kgo.ConsumerGroup("indexer"), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
	records := consumer.PollRecords(t.Context(), 4).Records()
	if len(records) != 4 {
		t.Fatalf("%d records", len(records))
	}
	if err := consumer.CommitRecords(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	checkLag(t, b, 6)
	consumer.Close()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	checkLag(t, start(t, o), 6)
}

func checkLag(t *testing.T, b *embedded.Broker, want int64) {
	t.Helper()
	lags, err := kadm.NewClient(connect(t, b)).Lag(t.Context(), "indexer")
	if err == nil {
		err = lags.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := lags["indexer"].Lag.Total(); got != want {
		t.Errorf("lag %d, want %d", got, want)
	}
}

// TestQuiet checks that a broker logs nothing from start to end.
func TestQuiet(t *testing.T) {
	var lines bytes.Buffer
	o := options(t)
	o.Logger = slog.New(slog.NewTextHandler(&lines, nil))
	b := start(t, o)
	produce(t, connect(t, b), "x")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if lines.Len() > 0 {
		t.Errorf("logged: %s", lines.String())
	}
}

package embedded

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// left returns a copy of a broker's folder, as a kill would leave it.
func left(t *testing.T, data string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "left")
	if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// offsets returns the offsets of all events that a cautious consumer reads, in ranges.
func offsets(t *testing.T, b *Broker) string {
	t.Helper()
	start, end := span(t, b)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics(b.options.Topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().At(start)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var ranges [][2]int64
	for next := start; next < end; {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			if last := len(ranges) - 1; last >= 0 && ranges[last][1] == r.Offset-1 {
				ranges[last][1] = r.Offset
			} else {
				ranges = append(ranges, [2]int64{r.Offset, r.Offset})
			}
		}
	}
	return fmt.Sprint(ranges)
}

// edit changes the content of a file.
func edit(path string, change func([]byte) []byte) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, change(content), 0o600)
}

// garbage returns bytes that are no batch.
func garbage(n int) []byte { return bytes.Repeat([]byte{0, 2, 'x', 0xff}, n/4+1)[:n] }

// TestDamaged damages the folder of a broker that was killed, and of one that ended. What
// is intact is read at its offset, new events follow, and both are there after the next
// kill.
func TestDamaged(t *testing.T) {
	const events = 20
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	b := startHere(t, o)
	produceHere(t, b, events, 300)
	killed := left(t, o.DataDir)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(o.DataDir, "partitions", "mail.received-0", "0.dat"))
	if err != nil {
		t.Fatal(err)
	}
	size := int(info.Size()) / events // of a batch
	at := func(batch int) int { return batch * size }
	for name, test := range map[string]struct {
		file   string
		change func([]byte) []byte
		want   string
		kept   bool // whether the damaged file is
	}{
		"a bit of the first": {"0.dat", func(b []byte) []byte { b[size/2] ^= 1; return b }, "[[1 19]]", true},
		"a bit of one":       {"0.dat", func(b []byte) []byte { b[at(7)+size/2] ^= 1; return b }, "[[0 6] [8 19]]", true},
		"a length":           {"0.dat", func(b []byte) []byte { b[at(7)+9] ^= 1; return b }, "[[0 6] [8 19]]", true},
		"zeros":              {"0.dat", func(b []byte) []byte { clear(b[at(5)+9 : at(8)+20]); return b }, "[[0 4] [9 19]]", true},
		"garbage between": {"0.dat", func(b []byte) []byte {
			return append(append(bytes.Clone(b[:at(3)]), garbage(777)...), b[at(3):]...)
		}, "[[0 19]]", true},
		"two places":        {"0.dat", func(b []byte) []byte { b[at(2)+70] ^= 1; b[at(9)+70] ^= 1; return b }, "[[0 1] [3 8] [10 19]]", true},
		"torn":              {"0.dat", func(b []byte) []byte { return b[:at(19)+100] }, "[[0 18]]", false},
		"a bit of the last": {"0.dat", func(b []byte) []byte { b[at(19)+70] ^= 1; return b }, "[[0 18]]", false},
		"garbage behind":    {"0.dat", func(b []byte) []byte { return append(b, garbage(5000)...) }, "[[0 19]]", false},
		"zeros behind":      {"0.dat", func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, "[[0 19]]", false},
		"index torn":        {"0.idx", func(b []byte) []byte { return b[:100] }, "[[0 19]]", false},
		"index empty":       {"0.idx", func([]byte) []byte { return nil }, "[[0 19]]", false},
		"index of garbage":  {"0.idx", func([]byte) []byte { return garbage(3000) }, "[[0 19]]", false},
		"index entry half written": {"0.idx", func(b []byte) []byte {
			return append(append(bytes.Clone(b[:45]), b[:4]...), b[45:]...)
		}, "[[0 19]]", false},
		"snapshot of garbage": {"snapshot.json", func([]byte) []byte { return garbage(300) }, "[[0 19]]", false},
	} {
		for how, from := range map[string]string{"killed": killed, "ended": o.DataDir} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				data := left(t, from)
				path := filepath.Join(data, "partitions", "mail.received-0", test.file)
				if _, err := os.Stat(path); err != nil && test.file == "snapshot.json" {
					t.Skip("there is none after a kill")
				}
				if err := edit(path, test.change); err != nil {
					t.Fatal(err)
				}
				b := startHere(t, Options{DataDir: data})
				if got := offsets(t, b); got != test.want {
					t.Errorf("offsets %s, want %s", got, test.want)
				}
				if _, err := os.Stat(path + ".damaged"); (err == nil) != test.kept {
					t.Errorf("the damaged file: %v, want it kept: %t", err, test.kept)
				}
				_, end := span(t, b)
				produceHere(t, b, 2, 300)
				confirm(t, b)
				want := strings.Replace(test.want, fmt.Sprintf("%d]]", end-1), fmt.Sprintf("%d]]", end+1), 1)
				if got := offsets(t, startHere(t, Options{DataDir: left(t, data)})); got != want {
					t.Errorf("after two events and a kill: offsets %s, want %s", got, want)
				}
			})
		}
	}
}

// TestDamagedTwice damages a file, and after its repair once more: both repairs keep what
// they found.
func TestDamagedTwice(t *testing.T) {
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	b := startHere(t, o)
	produceHere(t, b, 20, 300)
	data := left(t, o.DataDir)
	path := filepath.Join(data, "partitions", "mail.received-0", "0.dat")
	var lines bytes.Buffer
	for _, name := range []string{"0.dat.damaged", "0.dat.2.damaged", "0.dat.3.damaged"} {
		if err := edit(path, func(b []byte) []byte { b[len(b)/2+100] ^= 1; return b }); err != nil {
			t.Fatal(err)
		}
		damaged, err := os.ReadFile(path)
		if err == nil {
			err = repair(data, slog.New(slog.NewTextHandler(&lines, nil)))
		}
		if err != nil {
			t.Fatal(err)
		}
		kept := filepath.Join(filepath.Dir(path), name)
		if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, damaged) {
			t.Errorf("%s is not what was damaged: %v", name, err)
		}
		if !strings.HasSuffix(lines.String(), "kept="+kept+"\n") {
			t.Errorf("%s is not named:\n%s", name, lines.String())
		}
	}
	checkSpan(t, startHere(t, Options{DataDir: data}), "0 20")
}

// TestDamagedIndex checks that the removal of a damaged index has one line.
func TestDamagedIndex(t *testing.T) {
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	produceHere(t, startHere(t, o), 20, 300)
	data := left(t, o.DataDir)
	path := filepath.Join(data, "partitions", "mail.received-0", "0.idx")
	if err := edit(path, func(b []byte) []byte { return b[:100] }); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	for range 2 {
		if err := repair(data, slog.New(slog.NewTextHandler(&lines, nil))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(path); err == nil || strings.Count(lines.String(), "level=WARN") != 1 ||
		!strings.Contains(lines.String(), "file="+path) {
		t.Errorf("%v, logged %q", err, lines.String())
	}
}

// TestMissingState removes what says which topics there are: the broker does not begin a
// new log in the files of the old one.
func TestMissingState(t *testing.T) {
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	b := startHere(t, o)
	produceHere(t, b, 3, 300)
	for _, name := range []string{metaFile, topicsFile} {
		data := left(t, o.DataDir)
		if err := os.Remove(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
		broken, err := Start(Options{Address: "127.0.0.1:0", Topic: "mail.received", DataDir: data})
		if err == nil {
			_ = broken.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "has events, but no "+name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestTornCommits tears the end of the file of commits. The next commit survives a kill.
func TestTornCommits(t *testing.T) {
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	b := startHere(t, o)
	produceHere(t, b, 9, 300)
	commit(t, b, 3)
	for _, tear := range []func([]byte) []byte{
		func(b []byte) []byte { return append(b, garbage(50)...) },
		func(b []byte) []byte { return append(b, make([]byte, 4096)...) },
		func(b []byte) []byte { return append(b, b[:20]...) },
		func(b []byte) []byte { return append(garbage(50), b...) },
	} {
		data := left(t, o.DataDir)
		if err := edit(filepath.Join(data, groupsFile), tear); err != nil {
			t.Fatal(err)
		}
		b := startHere(t, Options{DataDir: data})
		checkCommit(t, b, 3)
		commit(t, b, 7)
		checkCommit(t, startHere(t, Options{DataDir: left(t, data)}), 7)
	}
}

func checkCommit(t *testing.T, b *Broker, want int64) {
	t.Helper()
	readers, err := groups(context.Background(), kadm.NewClient(b.client), b.options.Topic, nil)
	if err != nil || len(readers) != 1 || readers[0].next[0] != want {
		t.Errorf("groups %v, want a commit of %d: %v", readers, want, err)
	}
}

// TestIntact checks that an intact folder gets a snapshot and nothing else, and that
// nothing is logged.
func TestIntact(t *testing.T) {
	o := Options{DataDir: filepath.Join(t.TempDir(), "kafka")}
	b := startHere(t, o)
	produceHere(t, b, 9, 300)
	commit(t, b, 3)
	data := left(t, o.DataDir)
	before := diskUse(t, data)
	var lines bytes.Buffer
	snapshot := filepath.Join(data, "partitions", "mail.received-0", snapshotFile)
	for range 2 {
		if err := repair(data, slog.New(slog.NewTextHandler(&lines, nil))); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if after := diskUse(t, data); after != before+info.Size() || lines.Len() > 0 {
			t.Errorf("%d bytes with the snapshot, %d before; logged %q", after, before, lines.String())
		}
	}
	again := startHere(t, Options{DataDir: data})
	checkSpan(t, again, "0 9")
	checkCommit(t, again, 3)
}

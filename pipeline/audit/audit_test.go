package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/pipeline"
	"sluice/pipeline/audit"
	"sluice/pipeline/dir"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// memoryLog is a LogReader on a slice.
type memoryLog [][2][]byte

func (l memoryLog) Read(_ context.Context, each func(key, value []byte) error) error {
	for _, e := range l {
		if err := each(e[0], e[1]); err != nil {
			return err
		}
	}
	return nil
}

// world is a store and a log with some acknowledged messages.
type world struct {
	root  string
	store *dir.Store
	log   memoryLog
	acks  []audit.Acknowledged
	keys  []string
}

const messages = 5

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{root: t.TempDir()}
	var err error
	if w.store, err = dir.Open(dir.Options{Path: w.root}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range messages {
		w.send(t, fmt.Sprintf("Subject: %d\r\n\r\nbody\r\n", i))
	}
	return w
}

// send stores and announces a message, and records it as acknowledged.
func (w *world) send(t *testing.T, body string) {
	t.Helper()
	m := porttest.NewMessage([]byte(body))
	id := m.ID
	sent, err := porttest.Store(w.store, m)
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	m = porttest.Stored()
	m.ID, m.Result.Blob, m.Result.Digest = id, sent.Blob, sent.Digest
	w.log = append(w.log, [2][]byte{id.Append(nil), pipeline.AppendEvent(nil, m)})
	digest := sha256.Sum256([]byte(body))
	w.acks = append(w.acks, audit.Acknowledged{ID: id.String(), SHA256: hex.EncodeToString(digest[:]), Size: int64(len(body))})
	w.keys = append(w.keys, sent.Blob.Key)
}

func (w *world) path(i int) string { return filepath.Join(w.root, filepath.FromSlash(w.keys[i])) }

func (w *world) audit(t *testing.T) *audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), w.acks, w.store, w.log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// counts returns the numbers of findings in a report, in the order of its fields.
func counts(r *audit.Report) string {
	return fmt.Sprint(len(r.Lost), len(r.Altered), len(r.Dangling), len(r.Orphans), len(r.Duplicates))
}

// TestFindings breaks an intact world in each way that the audit must find.
func TestFindings(t *testing.T) {
	for name, test := range map[string]struct {
		harm   func(t *testing.T, w *world)
		ok     bool
		counts string // lost altered dangling orphans duplicates
		says   string
	}{
		"nothing": {func(*testing.T, *world) {}, true, "0 0 0 0 0", ""},
		"object removed": {func(t *testing.T, w *world) {
			check(t, os.Remove(w.path(2)))
		}, false, "1 0 0 0 0", "no object"},
		"first byte altered": {func(t *testing.T, w *world) { flip(t, w.path(2), 0) }, false, "0 1 0 0 0", "CRC32C"},
		"last byte altered":  {func(t *testing.T, w *world) { flip(t, w.path(2), -1) }, false, "0 1 0 0 0", "CRC32C"},
		"object truncated": {func(t *testing.T, w *world) {
			info, err := os.Stat(w.path(2))
			check(t, err)
			check(t, os.Truncate(w.path(2), info.Size()-1))
		}, false, "0 1 0 0 0", "ends after"},
		"object empty": {func(t *testing.T, w *world) {
			check(t, os.Truncate(w.path(2), 0))
		}, false, "0 1 0 0 0", "ends after 0"},
		"event removed": {func(_ *testing.T, w *world) {
			w.log = append(w.log[:2], w.log[3:]...)
		}, false, "1 0 0 1 0", "no event"},
		"other content acknowledged": {func(_ *testing.T, w *world) {
			w.acks[2].SHA256 = w.acks[3].SHA256
		}, false, "0 1 0 0 0", "sent was"},
		"other size acknowledged": {func(_ *testing.T, w *world) { w.acks[2].Size++ }, false, "0 1 0 0 0", "sent was"},
		"content not known":       {func(_ *testing.T, w *world) { w.acks[2].SHA256 = "" }, true, "0 0 0 0 0", ""},
		"event twice": {func(_ *testing.T, w *world) {
			w.log = append(w.log, w.log[2])
		}, true, "0 0 0 0 1", "2 events"},
		"never acknowledged": {func(_ *testing.T, w *world) {
			w.acks = w.acks[:messages-1]
		}, true, "0 0 0 0 1", "never acknowledged"},
		"never acknowledged, object removed": {func(t *testing.T, w *world) {
			w.acks = w.acks[:messages-1]
			check(t, os.Remove(w.path(messages-1)))
		}, false, "0 0 1 0 1", "no object"},
		"event of another": {func(_ *testing.T, w *world) {
			w.log[2][1] = w.log[3][1]
		}, false, "1 0 1 1 0", "event says id"},
		"event is no JSON": {func(_ *testing.T, w *world) {
			w.log[2][1] = []byte("{")
		}, false, "1 0 1 1 0", "not JSON"},
		"event against the schema": {func(_ *testing.T, w *world) {
			w.log[2][1] = []byte(strings.Replace(string(w.log[2][1]), `"smtputf8":false`, `"smtputf8":null`, 1))
		}, false, "0 1 1 1 0", "smtputf8"},
		"event says another size": {func(_ *testing.T, w *world) {
			w.log[2][1] = []byte(strings.Replace(string(w.log[2][1]), `"size":`, `"size":1`, 1))
		}, false, "0 1 0 0 0", "event says size"},
		"event says another digest": {func(_ *testing.T, w *world) {
			w.log[2][1] = []byte(strings.Replace(string(w.log[2][1]), w.acks[2].SHA256, w.acks[3].SHA256, 1))
		}, false, "0 1 0 0 0", "SHA-256"},
		"orphan": {func(t *testing.T, w *world) {
			w.send(t, "orphan")
			w.acks, w.log = w.acks[:messages], w.log[:messages]
		}, true, "0 0 0 1 0", "orphan: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			test.harm(t, w)
			r := w.audit(t)
			if r.OK() != test.ok || counts(r) != test.counts || !strings.Contains(r.String(), test.says) {
				t.Errorf("ok %t, counts %s, want %t, %s and %q in\n%s", r.OK(), counts(r), test.ok, test.counts, test.says, r)
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip alters one byte. A negative offset counts from the end.
func flip(t *testing.T, name string, offset int) {
	t.Helper()
	content, err := os.ReadFile(name)
	check(t, err)
	content[(offset+len(content))%len(content)] ^= 1
	check(t, os.WriteFile(name, content, 0o600))
}

func TestReportForms(t *testing.T) {
	w := newWorld(t)
	check(t, os.Remove(w.path(2)))
	r := w.audit(t)
	want := "lost: " + w.acks[2].ID + " no object " + w.keys[2] + "\n" +
		"audit FAILED: 5 acknowledged, 4 stored (0 packs), 5 events, 1 lost, 0 altered, 0 dangling, 0 orphans, 0 duplicates\n"
	if got := r.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	text, err := json.Marshal(r)
	check(t, err)
	var back audit.Report
	check(t, json.Unmarshal(text, &back))
	if back.String() != want {
		t.Errorf("JSON %s gives %q", text, back.String())
	}
}

type brokenLog struct{}

var errBroken = errors.New("broken")

func (brokenLog) Read(context.Context, func(key, value []byte) error) error { return errBroken }

// TestUnreadable checks that an audit fails when it cannot read the log.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	if _, err := audit.Run(t.Context(), w.acks, w.store, brokenLog{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
}

// TestRealParts audits a folder and the embedded broker.
func TestRealParts(t *testing.T) {
	b, err := embedded.Start(embedded.Options{Address: "127.0.0.1:0", DataDir: t.TempDir(), Topic: "mail.received", Partitions: 2})
	check(t, err)
	defer b.Close()
	o := kafka.Options{Brokers: []string{b.Addr()}, Topic: "mail.received"}
	log, err := kafka.Open(t.Context(), o)
	check(t, err)
	defer log.Close()
	store, err := dir.Open(dir.Options{Path: t.TempDir()})
	check(t, err)
	defer store.Close()

	var acks []audit.Acknowledged
	for i := range 50 {
		body := fmt.Sprintf("Subject: %d\r\n\r\nbody\r\n", i)
		m := porttest.NewMessage([]byte(body))
		id := m.ID
		sent, err := porttest.Store(store, m)
		check(t, errors.Join(err, sent.Err))
		m = porttest.Stored()
		m.ID, m.Result.Blob, m.Result.Digest = id, sent.Blob, sent.Digest
		announced, err := porttest.Announce(log, m)
		check(t, errors.Join(err, announced.Err))
		digest := sha256.Sum256([]byte(body))
		acks = append(acks, audit.Acknowledged{ID: id.String(), SHA256: hex.EncodeToString(digest[:]), Size: int64(len(body))})
	}
	r, err := audit.Run(t.Context(), acks, store, kafka.NewReader(o))
	check(t, err)
	if !r.OK() || r.Events != 50 || r.Stored != 50 || counts(r) != "0 0 0 0 0" {
		t.Error(r)
	}
}

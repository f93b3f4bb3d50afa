package audit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/audit"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// answers takes the results of a pack's messages.
type answers struct{}

func (answers) Post(*pipeline.Task) {}

// fixed is a random source.
type fixed struct{}

func (fixed) Uint64() uint64 { return 42 }

// pack stores and announces three messages that share an object, and records them as
// acknowledged. It returns the key of the object.
func (w *world) pack(t *testing.T) string {
	t.Helper()
	p := pack.New()
	for _, body := range []string{"first\r\n", "second\r\n", "third\r\n"} {
		m := porttest.NewMessage([]byte(body))
		m.Header = pipeline.AppendSeparator(m.Header, &m.Body)
		m.Loop = answers{}
		p.Add(m)
	}
	p.Compose(pipeline.NewID(time.Now(), fixed{}), pipeline.Blob{Store: "dir", Bucket: filepath.Base(w.root)})
	path := filepath.Join(w.root, filepath.FromSlash(p.Key()))
	check(t, os.MkdirAll(filepath.Dir(path), 0o750))
	check(t, os.WriteFile(path, bytes.Join(p.Pieces(), nil), 0o600))
	packed := append([]*pipeline.Message{}, p.Messages()...)
	key := p.Key()
	p.Stored()
	for _, m := range packed {
		w.log = append(w.log, [2][]byte{m.ID.Append(nil), pipeline.AppendEvent(nil, m)})
		w.acks = append(w.acks, audit.Acknowledged{ID: m.ID.String()})
		w.keys = append(w.keys, key)
	}
	return key
}

// TestFindingsInPacks breaks an intact pack in each way that the audit must find.
func TestFindingsInPacks(t *testing.T) {
	const first = messages // the pack's first message among all
	for name, test := range map[string]struct {
		harm   func(t *testing.T, w *world)
		counts string // lost altered dangling orphans duplicates
		says   string
	}{
		"nothing": {func(*testing.T, *world) {}, "0 0 0 0 0", "8 stored (1 packs)"},
		"one event of the log removed": {func(_ *testing.T, w *world) {
			w.log = append(w.log[:first], w.log[first+1:]...)
			w.acks = append(w.acks[:first], w.acks[first+1:]...)
		}, "0 0 0 1 0", ".tar#"},
		"one event removed, acknowledged": {func(_ *testing.T, w *world) {
			w.log = append(w.log[:first], w.log[first+1:]...)
		}, "1 0 0 1 0", "no event"},
		"all events of the log removed": {func(_ *testing.T, w *world) {
			w.log, w.acks = w.log[:first], w.acks[:first]
		}, "0 0 0 1 0", ".tar \n"},
		"object removed": {func(t *testing.T, w *world) { check(t, os.Remove(w.path(first))) }, "3 0 0 0 0", "no object"},
		"truncated":      {func(t *testing.T, w *world) { check(t, os.Truncate(w.path(first), 700)) }, "0 4 0 0 0", "unexpected EOF"},
		"a message altered": {func(t *testing.T, w *world) {
			replace(t, w.path(first), "second\r\n", "Second\r\n")
		}, "0 1 0 0 0", "CRC32C"},
		"an event of the pack altered": {func(t *testing.T, w *world) {
			replace(t, w.path(first), `"size":7,"sha256":"`, `"size":8,"sha256":"`)
		}, "0 1 0 0 0", "differ"},
		"an event of the pack written in another way": {func(t *testing.T, w *world) {
			replace(t, w.path(first), `"tls":null,"auth":null`, `"auth":null,"tls":null`)
		}, "0 1 0 0 0", "differ"},
		"a sender of the pack replaced": {func(t *testing.T, w *world) {
			replace(t, w.path(first), `"mail_from":"sender@`, `"mail_from":"forger@`)
		}, "0 1 0 0 0", "differ"},
		"events of the pack in another order": {func(t *testing.T, w *world) {
			content, err := os.ReadFile(w.path(first))
			check(t, err)
			swapFirstEvents(t, content)
			check(t, os.WriteFile(w.path(first), content, 0o600))
		}, "0 1 0 0 0", "event 0 is of"},
		"an event of the pack without its end": {func(t *testing.T, w *world) {
			replace(t, w.path(first), "}\n\x00", "} \x00")
		}, "0 1 0 0 0", "without an end"},
		"an event of the pack is none": {func(t *testing.T, w *world) {
			replace(t, w.path(first), "}\n", "]\n")
		}, "0 1 0 0 0", pack.EventsName},
		"two entries with each other's names": {func(t *testing.T, w *world) {
			swapNames(t, w.path(first), w.acks[first].ID, w.acks[first+2].ID)
		}, "0 2 0 0 0", "its entry in"},
		"octets behind the end": {func(t *testing.T, w *world) {
			content, err := os.ReadFile(w.path(first))
			check(t, err)
			check(t, os.WriteFile(w.path(first), append(content, "more"...), 0o600))
		}, "0 1 0 0 0", "behind its end"},
		"a message without an event altered": {func(t *testing.T, w *world) {
			w.log = append(w.log[:first+1], w.log[first+2:]...)
			w.acks = append(w.acks[:first+1], w.acks[first+2:]...)
			replace(t, w.path(first), "second\r\n", "Second\r\n")
		}, "0 1 0 1 0", "its event there says"},
		"a message added": {func(t *testing.T, w *world) {
			content, err := os.ReadFile(w.path(first))
			check(t, err)
			check(t, os.WriteFile(w.path(first), append(bytes.Clone(content[:1024]), content...), 0o600))
		}, "0 3 0 0 0", "3 events of 4"},
		"an event of the pack gone": {func(t *testing.T, w *world) {
			content, err := os.ReadFile(w.path(first))
			check(t, err)
			begin := bytes.Index(content, []byte(`{"id":`))
			end := begin + bytes.IndexByte(content[begin:], '\n') + 1
			rest := append(content[end:len(content):len(content)], make([]byte, end-begin)...)
			check(t, os.WriteFile(w.path(first), append(content[:begin:begin], rest...), 0o600))
		}, "0 1 0 0 0", "event"},
		"the log takes it for a message alone": {func(_ *testing.T, w *world) {
			w.log[first][1] = bytes.Replace(w.log[first][1], []byte(`"container":"tar",`), nil, 1)
		}, "0 2 0 0 0", "container"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.pack(t)
			test.harm(t, w)
			report := w.audit(t)
			text := strings.ReplaceAll(report.String(), ".tar\n", ".tar \n")
			if got := counts(report); got != test.counts || !strings.Contains(text, test.says) {
				t.Errorf("%s, want %s and %q in\n%s", got, test.counts, test.says, text)
			}
		})
	}
}

func replace(t *testing.T, path, from, to string) {
	t.Helper()
	content, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Contains(content, []byte(from)) {
		t.Fatalf("no %q in the pack", from)
	}
	check(t, os.WriteFile(path, bytes.Replace(content, []byte(from), []byte(to), 1), 0o600))
}

// swapNames exchanges the names of two entries, and their events in the list, so that both
// are in the same order.
func swapNames(t *testing.T, path, a, b string) {
	t.Helper()
	content, err := os.ReadFile(path)
	check(t, err)
	list := bytes.Index(content, []byte(`{"id":`))
	ends := bytes.IndexByte(content[list:], 0) + list
	lines := bytes.SplitAfter(bytes.Clone(content[list:ends]), []byte("\n"))
	lines[0], lines[2] = lines[2], lines[0]
	copy(content[list:], bytes.Join(lines, nil))
	atA, atB := bytes.Index(content, []byte(a)), bytes.Index(content, []byte(b))
	copy(content[atA:], b)
	copy(content[atB:], a)
	for _, header := range [][]byte{content[atA:][:512], content[atB:][:512]} {
		sum := 0
		copy(header[148:156], "        ")
		for _, c := range header {
			sum += int(c)
		}
		copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
	check(t, os.WriteFile(path, content, 0o600))
}

// swapFirstEvents swaps the first two lines of the events of a pack.
func swapFirstEvents(t *testing.T, content []byte) {
	t.Helper()
	begin := bytes.Index(content, []byte(`{"id":`))
	lines := bytes.SplitAfterN(content[begin:], []byte("\n"), 3)
	copy(content[begin:], append(bytes.Clone(lines[1]), lines[0]...))
}

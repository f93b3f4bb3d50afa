package audit_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
	"sluice/pipeline/audit"
	"sluice/pipeline/dir"
	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

// Read implements audit.LogReader. The headers are those that Sluice writes beside the
// value, unless reheaded changes them.
func (w *world) Read(_ context.Context, each func(key, value []byte, headers []pipeline.EventHeader) error) error {
	for i, record := range w.log {
		var headers []pipeline.EventHeader
		if e, err := pipeline.ParseEvent(record[1]); err == nil {
			headers = pipeline.AppendEventHeaders(nil, &pipeline.Message{ID: e.ID, Gateway: e.Gateway, ReceivedAt: e.ReceivedAt})
		}
		if w.reheaded != nil {
			headers = w.reheaded(i, headers)
		}
		if err := each(record[0], record[1], headers); err != nil {
			return err
		}
	}
	return nil
}

// world is a store and a log with some acknowledged messages.
type world struct {
	root  string
	store *dir.Store
	log   [][2][]byte // keys and values
	acks  []audit.Acknowledged
	keys  []string
	// reheaded returns the headers of a record in place of those that Sluice writes.
	reheaded func(i int, headers []pipeline.EventHeader) []pipeline.EventHeader
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

// send stores and announces a message, and records it as acknowledged. A message that was
// verified has a verdict.
func (w *world) send(t *testing.T, body string, verdict ...pipeline.Verdict) {
	t.Helper()
	m := porttest.NewMessage([]byte(body))
	m.Envelope.AddRecipient([]byte("second@example.net"))
	m.Header = m.Header[:0]
	for _, v := range verdict {
		m.Verification = &pipeline.Verification{}
		m.Judge(v)
		m.Header = append(m.Header, v.Field...)
	}
	m.Header = pipeline.AppendTrace(m.Header, m)
	id, at := m.ID, m.ReceivedAt
	sent, err := porttest.Store(w.store, m)
	if err != nil || sent.Err != nil {
		t.Fatalf("%v %v", err, sent.Err)
	}
	m = porttest.Stored()
	m.Envelope.AddRecipient([]byte("second@example.net"))
	m.Envelope.SizeDeclared = 400
	for _, v := range verdict {
		m.Verdicts = v.Verdicts
	}
	m.ReceivedAt = at
	m.ID, m.Result.Blob, m.Result.Digest = id, sent.Blob, sent.Digest
	w.log = append(w.log, [2][]byte{id.Append(nil), pipeline.AppendEvent(nil, m)})
	digest := sha256.Sum256([]byte(body))
	w.acks = append(w.acks, audit.Acknowledged{
		ID: id.String(), SHA256: hex.EncodeToString(digest[:]), Size: int64(len(body)),
		Event: expected(), Begun: id.Time(), Answered: time.Now(),
	})
	w.keys = append(w.keys, sent.Blob.Key)
}

// expected returns what the client of send determines, as a client would know it.
func expected() *pipeline.Event {
	return &pipeline.Event{
		Gateway: "mx.example.net",
		Client: pipeline.Client{
			Address: netip.MustParseAddrPort("192.0.2.1:4711"), Helo: "client.example.org", Protocol: "ESMTP",
		},
		Envelope: pipeline.EventEnvelope{
			MailFrom: "sender@example.org", RcptTo: []string{"recipient@example.net", "second@example.net"},
			Body: "7BIT", SizeDeclared: 400,
		},
		Message: pipeline.EventMessage{MessageID: "<1@example.org>"},
	}
}

func (w *world) path(i int) string { return filepath.Join(w.root, filepath.FromSlash(w.keys[i])) }

// rehead changes the headers of the third event.
func (w *world) rehead(change func([]pipeline.EventHeader) []pipeline.EventHeader) {
	w.reheaded = func(i int, headers []pipeline.EventHeader) []pipeline.EventHeader {
		if i != 2 {
			return headers
		}
		return change(headers)
	}
}

// retrace changes what Sluice added on top of an object, and the event with it: as if it
// had been written so.
func (w *world) retrace(t *testing.T, i int, change func(trace string) string) {
	t.Helper()
	content, err := os.ReadFile(w.path(i))
	check(t, err)
	e, err := pipeline.ParseEvent(w.log[i][1])
	check(t, err)
	trace := change(string(content[:e.Blob.Added]))
	content = append([]byte(trace), content[e.Blob.Added:]...)
	check(t, os.WriteFile(w.path(i), content, 0o600))
	before := blobText(&e.Blob)
	e.Blob.Added, e.Blob.Length = int64(len(trace)), int64(len(content))
	e.Blob.CRC32C = crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	w.log[i][1] = []byte(strings.Replace(string(w.log[i][1]), before, blobText(&e.Blob), 1))
}

// blobText returns the fields of a blob in an event that change with its content.
func blobText(b *pipeline.Blob) string {
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, b.CRC32C))
	return fmt.Sprintf(`"length":%d,"added":%d,"crc32c":"%s"`, b.Length, b.Added, sum)
}

func (w *world) audit(t *testing.T) *audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), w.acks, w.store, w)
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
		"event twice, one with another sender": {func(_ *testing.T, w *world) {
			forged := strings.Replace(string(w.log[2][1]), "sender@", "forger@", 1)
			w.log = append(w.log, [2][]byte{w.log[2][0], []byte(forged)})
		}, false, "0 1 0 0 1", "mail_from"},
		"one id for two messages": {func(_ *testing.T, w *world) {
			w.acks = append(w.acks, w.acks[2])
		}, false, "0 1 0 0 0", "the id of two"},
		"object longer": {func(t *testing.T, w *world) {
			content, err := os.ReadFile(w.path(2))
			check(t, err)
			check(t, os.WriteFile(w.path(2), append(content, "more\r\n"...), 0o600))
		}, false, "0 1 0 0 0", "object has"},
		"header added": {func(t *testing.T, w *world) {
			w.retrace(t, 2, func(trace string) string { return "X-Added: 1\r\n" + trace })
		}, false, "0 1 0 0 0", "Sluice adds"},
		"trace of another client": {func(t *testing.T, w *world) {
			w.retrace(t, 2, func(trace string) string { return strings.Replace(trace, "192.0.2.1", "192.0.2.2", 1) })
		}, false, "0 1 0 0 0", "Sluice adds"},
		"no trace": {func(t *testing.T, w *world) {
			w.retrace(t, 2, func(string) string { return "" })
		}, false, "0 1 0 0 0", "Sluice adds"},
		"separator without need": {func(t *testing.T, w *world) {
			w.retrace(t, 2, func(trace string) string { return trace + "\r\n" })
		}, false, "0 1 0 0 0", "Sluice adds"},
		"event without headers": {func(_ *testing.T, w *world) {
			w.rehead(func([]pipeline.EventHeader) []pipeline.EventHeader { return nil })
		}, false, "0 1 0 0 0", "headers"},
		"event with one header more": {func(_ *testing.T, w *world) {
			w.rehead(func(h []pipeline.EventHeader) []pipeline.EventHeader { return append(h, h[0]) })
		}, false, "0 1 0 0 0", "headers"},
		"event with the headers of another": {func(_ *testing.T, w *world) {
			w.rehead(func(h []pipeline.EventHeader) []pipeline.EventHeader {
				h[3].Value = w.log[3][0]
				return h
			})
		}, false, "0 1 0 0 0", "headers"},
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

// TestFields changes each field of an event in the log: whatever it is, the audit finds
// the message altered.
func TestFields(t *testing.T) {
	w := newWorld(t)
	intact := string(w.log[2][1])
	for name, change := range map[string]struct{ from, to string }{
		"received too early":   {`"received_at":"2`, `"received_at":"1`},
		"received too late":    {`"received_at":"2`, `"received_at":"3`},
		"gateway":              {`"gateway":"mx.`, `"gateway":"my.`},
		"client address":       {`"192.0.2.1"`, `"192.0.2.2"`},
		"client port":          {`"port":4711`, `"port":4712`},
		"helo":                 {`"helo":"client.`, `"helo":"other.`},
		"protocol":             {`"protocol":"ESMTP"`, `"protocol":"SMTP"`},
		"tls":                  {`"tls":null`, `"tls":{"version":"a","cipher":"b","group":"","resumed":false,"sni":"","certificate":null}`},
		"auth":                 {`"auth":null`, `"auth":{"user":"x"}`},
		"sender replaced":      {`"mail_from":"sender@`, `"mail_from":"forger@`},
		"sender null":          {`"mail_from":"sender@example.org"`, `"mail_from":""`},
		"no recipients":        {`[{"address":"recipient@example.net"},{"address":"second@example.net"}]`, `[]`},
		"first recipient gone": {`{"address":"recipient@example.net"},`, ``},
		"last recipient gone":  {`,{"address":"second@example.net"}`, ``},
		"recipient added":      {`{"address":"second@example.net"}`, `{"address":"second@example.net"},{"address":"third@example.net"}`},
		"recipient twice":      {`{"address":"second@example.net"}`, `{"address":"recipient@example.net"}`},
		"recipients' order": {`{"address":"recipient@example.net"},{"address":"second@example.net"}`,
			`{"address":"second@example.net"},{"address":"recipient@example.net"}`},
		"body":                   {`"body":"7BIT"`, `"body":"8BITMIME"`},
		"smtputf8":               {`"smtputf8":false`, `"smtputf8":true`},
		"declared size":          {`"size_declared":400`, `"size_declared":0`},
		"size":                   {`"size":`, `"size":1`},
		"digest":                 {w.acks[2].SHA256, w.acks[3].SHA256},
		"message id":             {`"message_id":"<1@`, `"message_id":"<2@`},
		"eight bit":              {`"eight_bit":false`, `"eight_bit":true`},
		"bare CR":                {`"bare_cr":false`, `"bare_cr":true`},
		"bare LF":                {`"bare_lf":false`, `"bare_lf":true`},
		"NUL":                    {`"nul":false`, `"nul":true`},
		"longest line":           {`"longest_line":0`, `"longest_line":78`},
		"store":                  {`"store":"dir"`, `"store":"s3"`},
		"bucket":                 {`"bucket":"`, `"bucket":"x`},
		"key":                    {`.eml"`, `.eml2"`},
		"container":              {`,"offset"`, `,"container":"tar","offset"`},
		"offset":                 {`"offset":0`, `"offset":1`},
		"length":                 {`"length":`, `"length":1`},
		"added":                  {`"added":`, `"added":1`},
		"checksum":               {`"crc32c":"`, `"crc32c":"AAAAAA==","was":"`},
		"a field that is no one": {`{"id"`, `{"x":1,"id"`},
		"white space":            {`,"gateway"`, `, "gateway"`},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(intact, change.from, change.to, 1)
			if changed == intact {
				t.Fatalf("nothing to change in %s", intact)
			}
			w.log[2][1] = []byte(changed)
			r := w.audit(t)
			broken := len(r.Altered) + len(r.Lost)
			if r.OK() || broken != 1 || append(r.Altered, r.Lost...)[0].ID != w.acks[2].ID {
				t.Errorf("%s", r)
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

func (brokenLog) Read(context.Context, func(key, value []byte, headers []pipeline.EventHeader) error) error {
	return errBroken
}

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
		id, at := m.ID, m.ReceivedAt
		sent, err := porttest.Store(store, m)
		check(t, errors.Join(err, sent.Err))
		m = porttest.Stored()
		m.ReceivedAt = at
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

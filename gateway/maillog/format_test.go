package maillog

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/codec"
	"sluice/gateway/driver"
	smtp "sluice/gateway/session"
	"sluice/internal/testkit"
	"sluice/pipeline"
)

// acceptance returns the acceptance of a message with these recipients.
func acceptance(from string, to ...string) *driver.Acceptance {
	m := &pipeline.Message{ID: pipeline.ID{1, 0x91, 15: 7}, Decoded: 10240}
	m.Client = pipeline.Client{Address: netip.MustParseAddrPort("192.0.2.1:4711"), Helo: "client.example", Protocol: "ESMTP"}
	m.Envelope.SetReversePath([]byte(from))
	for _, address := range to {
		m.Envelope.AddRecipient([]byte(address))
	}
	m.Summary.MessageID = []byte("<1@example.org>")
	m.Took[pipeline.StageStoring], m.Took[pipeline.StagePublishing] = 12345*time.Microsecond, 2*time.Millisecond
	m.Result.Blob = pipeline.Blob{Key: "2026/01/02/03/p.tar", Offset: 512, Length: 10500}
	m.Result.Event = pipeline.Position{Topic: "mail.received", Partition: 3, Offset: 17}
	return &driver.Acceptance{
		Session: 0x1f, Message: m, Took: 1500 * time.Millisecond,
		At: time.Date(2026, 1, 2, 3, 4, 5, 67_000_000, time.UTC),
	}
}

// TestMessageLine shows the line of a message in both formats.
func TestMessageLine(t *testing.T) {
	proxied := acceptance("", "one@example.net", `"a b"@example.net`)
	proxied.Message.Client.Proxy = &pipeline.Proxy{
		Address: netip.MustParseAddr("::ffff:10.0.0.1"), UniqueID: "c0ffee", TLS: &codec.ProxyTLS{Version: "TLSv1.3"},
	}
	proxied.Message.Result.Event = pipeline.Position{}
	proxied.Message.Client.TLS = &pipeline.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256"}
	verified := acceptance("", "one@example.net")
	verified.Message.Verdicts = &pipeline.Verdicts{
		Disposition: "quarantine", SPF: pipeline.SPFVerdict{Result: "fail"}, DMARC: pipeline.DMARCVerdict{Result: "fail", From: "example.org"},
		DKIM: []pipeline.DKIMVerdict{{Result: "permerror"}, {Result: "pass"}, {Result: "fail"}},
	}
	for _, test := range []struct {
		a          *driver.Acceptance
		text, json string
	}{{
		verified,
		`time=2026-01-02T03:04:05.067Z level=INFO msg=accepted id=01910000-0000-0000-0000-000000000007 session=0000001f client=192.0.2.1:4711 helo=client.example protocol=ESMTP from="" to=one@example.net recipients=1 message_id=<1@example.org> octets=10240 spf=fail dkim=pass dmarc=fail author=example.org disposition=quarantine seconds=1.5 store_seconds=0.012345 log_seconds=0.002 key=2026/01/02/03/p.tar offset=512 length=10500 topic=mail.received partition=3 event_offset=17`,
		`{"time":"2026-01-02T03:04:05.067Z","level":"INFO","msg":"accepted","id":"01910000-0000-0000-0000-000000000007","session":"0000001f","client":"192.0.2.1:4711","helo":"client.example","protocol":"ESMTP","from":"","to":["one@example.net"],"recipients":1,"message_id":"<1@example.org>","octets":10240,"spf":"fail","dkim":"pass","dmarc":"fail","author":"example.org","disposition":"quarantine","seconds":1.5,"store_seconds":0.012345,"log_seconds":0.002,"key":"2026/01/02/03/p.tar","offset":512,"length":10500,"topic":"mail.received","partition":3,"event_offset":17}`,
	}, {
		acceptance("a=b@example.org", "one@example.net", "two@example.net"),
		`time=2026-01-02T03:04:05.067Z level=INFO msg=accepted id=01910000-0000-0000-0000-000000000007 session=0000001f client=192.0.2.1:4711 helo=client.example protocol=ESMTP from="a=b@example.org" to=one@example.net,two@example.net recipients=2 message_id=<1@example.org> octets=10240 seconds=1.5 store_seconds=0.012345 log_seconds=0.002 key=2026/01/02/03/p.tar offset=512 length=10500 topic=mail.received partition=3 event_offset=17`,
		`{"time":"2026-01-02T03:04:05.067Z","level":"INFO","msg":"accepted","id":"01910000-0000-0000-0000-000000000007","session":"0000001f","client":"192.0.2.1:4711","helo":"client.example","protocol":"ESMTP","from":"a=b@example.org","to":["one@example.net","two@example.net"],"recipients":2,"message_id":"<1@example.org>","octets":10240,"seconds":1.5,"store_seconds":0.012345,"log_seconds":0.002,"key":"2026/01/02/03/p.tar","offset":512,"length":10500,"topic":"mail.received","partition":3,"event_offset":17}`,
	}, {
		proxied,
		`time=2026-01-02T03:04:05.067Z level=INFO msg=accepted id=01910000-0000-0000-0000-000000000007 session=0000001f client=192.0.2.1:4711 proxy=10.0.0.1 proxy_id=c0ffee proxy_tls=TLSv1.3 helo=client.example protocol=ESMTP tls=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256 from="" to="one@example.net,\"a b\"@example.net" recipients=2 message_id=<1@example.org> octets=10240 seconds=1.5 store_seconds=0.012345 log_seconds=0.002 key=2026/01/02/03/p.tar offset=512 length=10500`,
		`{"time":"2026-01-02T03:04:05.067Z","level":"INFO","msg":"accepted","id":"01910000-0000-0000-0000-000000000007","session":"0000001f","client":"192.0.2.1:4711","proxy":"10.0.0.1","proxy_id":"c0ffee","proxy_tls":"TLSv1.3","helo":"client.example","protocol":"ESMTP","tls":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256","from":"","to":["one@example.net","\"a b\"@example.net"],"recipients":2,"message_id":"<1@example.org>","octets":10240,"seconds":1.5,"store_seconds":0.012345,"log_seconds":0.002,"key":"2026/01/02/03/p.tar","offset":512,"length":10500}`,
	}} {
		for asJSON, want := range map[bool]string{false: test.text, true: test.json} {
			if got := string(lineFormat{asJSON}.appendAcceptance(nil, test.a)); got != want+"\n" {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
}

// TestVerdictsInLine: a message that was not verified has none, and of several signatures
// one that has passed counts, else the first.
func TestVerdictsInLine(t *testing.T) {
	for want, v := range map[string]*pipeline.Verdicts{
		"octets=10240 seconds=":              {Skipped: pipeline.SkippedTrusted},
		" dkim=none dmarc=":                  {},
		" dkim=fail dmarc=none author=\"\" ": {DKIM: []pipeline.DKIMVerdict{{Result: "fail"}, {Result: "policy"}}, DMARC: pipeline.DMARCVerdict{Result: "none"}},
	} {
		a := acceptance("", "one@example.net")
		a.Message.Verdicts = v
		if got := string(lineFormat{}.appendAcceptance(nil, a)); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

// byHandler returns the line that slog's own handler writes for an acceptance.
func byHandler(t *testing.T, asJSON bool, a *driver.Acceptance) string {
	t.Helper()
	short := func(value string) string { return value[:min(len(value), maxValue)] }
	seconds := func(d time.Duration) json.Number {
		return json.Number(strconv.FormatFloat(float64(d.Microseconds())/1e6, 'f', -1, 64))
	}
	m := a.Message
	to, size := []string{}, 0
	for i := range min(m.Envelope.Recipients(), maxListed) {
		next := short(string(m.Envelope.Recipient(i)))
		if size += len(next); size > maxList {
			break
		}
		to = append(to, next)
	}
	var b bytes.Buffer
	var handler slog.Handler = slog.NewTextHandler(&b, nil)
	list := slog.String("to", strings.Join(to, ","))
	if asJSON {
		handler, list = slog.NewJSONHandler(&b, nil), slog.Any("to", to)
	}
	record := slog.NewRecord(a.At, slog.LevelInfo, "accepted", 0)
	record.AddAttrs(slog.String("id", m.ID.String()), slog.String("session", a.Session.String()),
		slog.String("client", m.Client.Address.String()), slog.String("helo", short(m.Client.Helo)),
		slog.String("protocol", short(m.Client.Protocol)), slog.String("from", short(string(m.Envelope.ReversePath()))),
		list, slog.Int("recipients", m.Envelope.Recipients()), slog.String("message_id", short(string(m.Summary.MessageID))),
		slog.Int64("octets", m.Decoded), slog.Any("seconds", seconds(a.Took)),
		slog.Any("store_seconds", seconds(m.Took[pipeline.StageStoring])), slog.Any("log_seconds", seconds(m.Took[pipeline.StagePublishing])),
		slog.String("key", short(m.Result.Blob.Key)), slog.Int64("offset", m.Result.Blob.Offset), slog.Int64("length", m.Result.Blob.Length),
		slog.String("topic", short(m.Result.Event.Topic)), slog.Int("partition", int(m.Result.Event.Partition)),
		slog.Int64("event_offset", m.Result.Event.Offset))
	if err := handler.Handle(context.Background(), record); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// decoded returns the attributes of a line of JSON, with numbers as they are written.
func decoded(t *testing.T, line string) (values map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		t.Fatalf("%v: %q", err, line)
	}
	return values
}

// FuzzMessageLine compares the line of a message with that of slog's handlers: in text
// octet for octet, in JSON by what encoding/json reads of it. Whatever a client sends, a
// line is one line, and has no end of line or control character of the client.
func FuzzMessageLine(f *testing.F) {
	for _, hostile := range []string{
		"", "a@example.org", "x\nlevel=ERROR msg=forged", "x\r\nmsg=forged", `x" msg=forged "`, "x msg=forged", "x\x00\x1b[2Jy",
		"x\u2028msg=forged", "x\x85\xff\xfe", `{"msg":"forged"}`, "\\", `\"`, "=", "\x7f", "\b\f\t", "é\u00a0ü", "\U0001f4e7", "\ufffd\xc3",
		strings.Repeat("é", 200), strings.Repeat(`"`, 2000),
	} {
		f.Add(hostile, "b@example.net", "<1@example.org>", uint8(1), uint32(1), int64(1_234_567_890))
		f.Add("a@example.org", hostile, hostile, uint8(12), uint32(1<<31), int64(-1))
		f.Add(hostile, hostile, hostile, uint8(0), uint32(0), int64(999_999))
	}
	f.Fuzz(func(t *testing.T, from, to, id string, recipients uint8, session uint32, took int64) {
		a := acceptance(from)
		m := a.Message
		for i := range int(recipients) % 20 {
			m.Envelope.AddRecipient([]byte(to[min(len(to), i):]))
		}
		m.Client.Helo, m.Client.Protocol, m.Result.Blob.Key = to, from, id
		m.Result.Event.Topic = "t" + id
		m.Summary.MessageID = []byte(id)
		a.Session = smtp.ID(session)
		a.At, a.Took = time.UnixMicro(took&(1<<50-1)), time.Duration(took&(1<<50-1))
		m.Decoded, m.Result.Blob.Length, m.Result.Event.Offset = took, took, -took
		text, asJSON := string(lineFormat{}.appendAcceptance(nil, a)), string(lineFormat{true}.appendAcceptance(nil, a))
		if want := byHandler(t, false, a); text != want {
			t.Errorf("got  %q\nwant %q", text, want)
		}
		if got, want := decoded(t, asJSON), decoded(t, byHandler(t, true, a)); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		for _, line := range []string{text, asJSON} {
			for i, r := range line {
				if i < len(line)-1 && (r < ' ' || r == '\u2028' || r == '\u2029') || i == len(line)-1 && r != '\n' {
					t.Fatalf("%q at %d of %q", r, i, line)
				}
			}
		}
		if n := len(keyValues(strings.TrimSuffix(text, "\n"))); n != 22 {
			t.Errorf("%d keys in %q", n, text)
		}
		if most := 6*(6*maxValue+maxList) + 1000; len(text) > most || len(asJSON) > most {
			t.Errorf("lines of %d and %d bytes", len(text), len(asJSON))
		}
	})
}

// TestMessageLineNeedsNoMemory: an event loop formats each line, so that it must not
// allocate.
func TestMessageLineNeedsNoMemory(t *testing.T) {
	plain, quoted := acceptance("bounce+user=example.com@lists.example.org", "one@example.net", "two@example.net"), acceptance("")
	for i := range 50 {
		quoted.Message.Envelope.AddRecipient([]byte(`"user ` + strconv.Itoa(i) + `"@a-rather-long-domain-name.example.net`))
	}
	for _, asJSON := range []bool{false, true} {
		m := New(Options{Messages: 1, JSON: asJSON}, &discardWriter{})
		for _, a := range []*driver.Acceptance{plain, quoted} {
			if n := testing.AllocsPerRun(2000, func() { m.Accepted(a) }); n != 0 {
				t.Errorf("JSON %v, from %q: %v allocations for a line", asJSON, a.Message.Envelope.ReversePath(), n)
			}
		}
		m.Close()
	}
}

func BenchmarkMessageLine(b *testing.B) {
	for name, asJSON := range map[string]bool{"text": false, "json": true} {
		b.Run(name, func(b *testing.B) {
			a := acceptance("sender@example.org", "recipient@example.net")
			a.At = time.Now()
			line := make([]byte, 0, maxLine)
			b.ReportAllocs()
			for b.Loop() {
				line = lineFormat{asJSON}.appendAcceptance(line[:0], a)
			}
		})
	}
}

// TestLongValuesOfRefusals checks that a refusal has no more of a client's value than the
// line of a message has.
func TestLongValuesOfRefusals(t *testing.T) {
	var s testkit.Buffer
	m := New(Options{}, &s)
	long := strings.Repeat("x", 10000)
	m.Refused(&driver.Refusal{Helo: long, MailFrom: []byte(long), To: []byte(long)})
	m.Lost(&driver.Loss{Helo: long, MailFrom: []byte(long), To: []byte(long)})
	m.Close()
	for _, line := range s.Lines() {
		if strings.Count(line, "x") < 3*maxValue || len(line) > 3*maxValue+300 {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	}
}

package pipeline_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sluice/codec"
	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// decoded is an event's value as a consumer reads it.
type decoded struct {
	ID         string    `json:"id"`
	ReceivedAt time.Time `json:"received_at"`
	Gateway    string    `json:"gateway"`
	Client     struct {
		Address  string `json:"address"`
		Port     uint16 `json:"port"`
		Helo     string `json:"helo"`
		Protocol string `json:"protocol"`
	} `json:"client"`
	Envelope struct {
		MailFrom string `json:"mail_from"`
		RcptTo   []struct {
			Address string `json:"address"`
		} `json:"rcpt_to"`
		Body         string `json:"body"`
		SizeDeclared int64  `json:"size_declared"`
	} `json:"envelope"`
	Message struct {
		Size        int64  `json:"size"`
		SHA256      string `json:"sha256"`
		MessageID   string `json:"message_id"`
		EightBit    bool   `json:"eight_bit"`
		BareCR      bool   `json:"bare_cr"`
		BareLF      bool   `json:"bare_lf"`
		NUL         bool   `json:"nul"`
		LongestLine int    `json:"longest_line"`
	} `json:"message"`
	Blob struct {
		Store  string `json:"store"`
		Bucket string `json:"bucket"`
		Key    string `json:"key"`
		Offset int64  `json:"offset"`
		Length int64  `json:"length"`
		Added  int64  `json:"added"`
		CRC32C []byte `json:"crc32c"`
	} `json:"blob"`
}

// legible is what octets become in JSON: each that is not UTF-8 turns to U+FFFD.
func legible[T string | []byte](s T) string {
	var b strings.Builder
	for _, r := range string(s) {
		b.WriteRune(r)
	}
	return b.String()
}

// expected is a message's event, put together without the encoder.
func expected(m *pipeline.Message) decoded {
	var d decoded
	d.ID, d.Gateway = m.ID.String(), legible(m.Gateway)
	d.ReceivedAt = m.ReceivedAt.UTC().Truncate(time.Millisecond)
	d.Client.Address, d.Client.Port = m.Client.Address.Addr().Unmap().String(), m.Client.Address.Port()
	d.Client.Helo, d.Client.Protocol = legible(m.Client.Helo), m.Client.Protocol
	d.Envelope.MailFrom = legible(m.Envelope.ReversePath())
	for i := range m.Envelope.Recipients() {
		d.Envelope.RcptTo = append(d.Envelope.RcptTo, struct {
			Address string `json:"address"`
		}{legible(m.Envelope.Recipient(i))})
	}
	d.Envelope.Body = map[codec.BodyType]string{
		codec.BodyUnspecified: "7BIT", codec.Body7Bit: "7BIT", codec.Body8BitMIME: "8BITMIME",
	}[m.Envelope.Body]
	d.Envelope.SizeDeclared = max(m.Envelope.SizeDeclared, 0)
	d.Message.Size = m.Blob.Length - m.Blob.Added
	d.Message.SHA256 = strings.Repeat("00", 32)
	d.Message.MessageID = legible(m.Summary.MessageID)
	d.Message.EightBit, d.Message.NUL = m.Report.EightBit, m.Report.NUL
	d.Message.BareCR, d.Message.BareLF = m.Report.BareCR, m.Report.BareLF
	d.Message.LongestLine = m.Report.LongestLine
	b := m.Blob
	d.Blob.Store, d.Blob.Bucket, d.Blob.Key = b.Store, b.Bucket, b.Key
	d.Blob.Offset, d.Blob.Length, d.Blob.Added = b.Offset, b.Length, b.Added
	d.Blob.CRC32C = []byte{byte(b.CRC32C >> 24), byte(b.CRC32C >> 16), byte(b.CRC32C >> 8), byte(b.CRC32C)}
	return d
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(pipeline.EventSchema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("event.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// events gives messages of all kinds, nasty ones too.
func events() map[string]*pipeline.Message {
	all := porttest.Extremes()
	all["plain"] = porttest.Stored()

	reported := porttest.Stored()
	reported.Envelope.Body, reported.Envelope.SizeDeclared = codec.Body8BitMIME, 1<<40
	reported.Report = codec.BodyReport{BareCR: true, BareLF: true, NUL: true, EightBit: true, LongestLine: 100000}
	reported.Client.Address = netip.MustParseAddrPort("[2001:db8::1]:65535")
	reported.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 999999999, time.FixedZone("UTC-5", -5*3600))
	reported.Blob.Offset, reported.Blob.Length, reported.Blob.CRC32C = 1<<50, 1<<45, 0xffffffff
	all["reported"] = reported

	mapped := porttest.Stored()
	mapped.Client.Address = netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	mapped.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // the fraction has three digits all the same
	mapped.Gateway = "<script>&'\u2028\u2029\U0001F4E7\ufffd"
	all["mapped"] = mapped

	discarded := porttest.Stored()
	discarded.Blob = pipeline.Blob{Store: "discard", Length: 10, Added: 10}
	all["discarded"] = discarded
	return all
}

// TestEvent validates events by the schema that consumers have, and compares
// what encoding/json reads with what the message held.
func TestEvent(t *testing.T) {
	schema := compileSchema(t)
	for name, m := range events() {
		t.Run(name, func(t *testing.T) {
			value := pipeline.AppendEvent(nil, m)
			instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(instance); err != nil {
				t.Error(err)
			}
			checkDecoded(t, value, m)
		})
	}
}

func checkDecoded(t *testing.T, value []byte, m *pipeline.Message) {
	t.Helper()
	var got decoded
	if err := json.Unmarshal(value, &got); err != nil {
		t.Fatalf("%v: %q", err, value)
	}
	if want := expected(m); !reflect.DeepEqual(got, want) {
		t.Errorf("read back %+v\nwant %+v", got, want)
	}
}

// TestEventGolden holds the exact form that consumers rely on.
func TestEventGolden(t *testing.T) {
	m := traced(t, "192.0.2.1:4711", "a@example.net", "b@example.net")
	m.Envelope.SizeDeclared = -1
	m.Summary.MessageID = []byte("<1@example.org>")
	m.Digest[0] = 0xab
	m.Blob = pipeline.Blob{Store: "dir", Bucket: "mail", Key: m.Key(), Length: 300, Added: 200, CRC32C: 0xe3069283}
	m.Report.LongestLine = 72
	const want = `{"id":"` + traceID + `","received_at":"2026-02-28T23:02:03.999Z","gateway":"mx1.example.net",` +
		`"client":{"address":"192.0.2.1","port":4711,"helo":"client.example.org","protocol":"ESMTP","tls":null,"auth":null},` +
		`"envelope":{"mail_from":"sender@example.org","rcpt_to":[{"address":"a@example.net"},{"address":"b@example.net"}],` +
		`"body":"7BIT","smtputf8":false,"size_declared":0},` +
		`"message":{"size":100,"sha256":"ab00000000000000000000000000000000000000000000000000000000000000",` +
		`"message_id":"<1@example.org>","eight_bit":false,"bare_cr":false,"bare_lf":false,"nul":false,"longest_line":72},` +
		`"blob":{"store":"dir","bucket":"mail","key":"2023/12/21/16/` + traceID + `.eml","offset":0,"length":300,"added":200,"crc32c":"4waSgw=="}}`
	if got := string(pipeline.AppendEvent(nil, m)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestSchemaBites shows that the schema refuses events that break the contract.
func TestSchemaBites(t *testing.T) {
	schema := compileSchema(t)
	good := string(pipeline.AppendEvent(nil, porttest.Stored()))
	for name, change := range map[string][2]string{
		"field missing":  {`"gateway":"mx.example.net",`, ""},
		"wrong type":     {`"port":4711`, `"port":"4711"`},
		"port too large": {`"port":4711`, `"port":65536`},
		"negative":       {`"offset":0`, `"offset":-1`},
		"no recipients":  {`[{"address":"recipient@example.net"}]`, `[]`},
		"unknown body":   {`"7BIT"`, `"9BIT"`},
		"short digest":   {`"sha256":"00`, `"sha256":"`},
		"time in zone":   {`Z","gateway"`, `+00:00","gateway"`},
		"checksum":       {`3q2+7w==`, `3735928559`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatalf("%s is not in %s", change[0], good)
			}
			instance, err := jsonschema.UnmarshalJSON(strings.NewReader(bad))
			if err != nil {
				t.Fatal(err)
			}
			if schema.Validate(instance) == nil {
				t.Errorf("taken: %s", bad)
			}
		})
	}
	t.Run("field added", func(t *testing.T) {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(good, "{", `{"later":1,`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("consumers must take added fields: %v", err)
		}
	})
}

// FuzzEvent: whatever a client sends, the event is JSON, and UTF-8 comes back
// as it was.
func FuzzEvent(f *testing.F) {
	f.Add("client.example.org", "sender@example.org", "recipient@example.net", "<1@example.org>")
	f.Add("\x00\x1f\x7f\"\\/", "\xff\xfe\xc3\x28", "\u2028\u2029\ufffd\U0001F4E7", "\xed\xa0\x80\xf4\x90\x80\x80")
	f.Fuzz(func(t *testing.T, helo, from, to, messageID string) {
		m := porttest.Stored()
		m.Client.Helo, m.Gateway = helo, from
		m.Envelope.SetReversePath([]byte(from))
		m.Envelope.AddRecipient([]byte(to))
		m.Summary.MessageID = []byte(messageID)
		value := pipeline.AppendEvent(nil, m)
		if !json.Valid(value) {
			t.Fatalf("no JSON: %q", value)
		}
		checkDecoded(t, value, m)
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	m := porttest.Stored()
	var value []byte
	b.ReportAllocs()
	for b.Loop() {
		value = pipeline.AppendEvent(value[:0], m)
	}
}

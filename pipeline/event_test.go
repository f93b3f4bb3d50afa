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

// legible is what bytes become in JSON: each that is not UTF-8 turns to U+FFFD.
func legible[T string | []byte](s T) string {
	var b strings.Builder
	for _, r := range string(s) {
		b.WriteRune(r)
	}
	return b.String()
}

// expected is a message's event, put together without the encoder.
func expected(m *pipeline.Message) *pipeline.Event {
	e := &pipeline.Event{
		ID:         m.ID,
		ReceivedAt: m.ReceivedAt.UTC().Truncate(time.Millisecond),
		Gateway:    legible(m.Gateway),
		Client:     pipeline.Client{Helo: legible(m.Client.Helo), Protocol: m.Client.Protocol},
		Envelope: pipeline.EventEnvelope{
			MailFrom: legible(m.Envelope.ReversePath()),
			Body: map[codec.BodyType]string{
				codec.BodyUnspecified: "7BIT", codec.Body7Bit: "7BIT", codec.Body8BitMIME: "8BITMIME",
			}[m.Envelope.Body],
			SizeDeclared: max(m.Envelope.SizeDeclared, 0), RequireTLS: m.Envelope.RequireTLS,
		},
		Message: pipeline.EventMessage{
			Size: m.Result.Blob.Length - m.Result.Blob.Added, SHA256: m.Result.Digest,
			MessageID: legible(m.Summary.MessageID), Report: m.Report,
		},
		Blob: m.Result.Blob, Verdicts: expectedVerdicts(m.Verdicts),
	}
	address := m.Client.Address
	e.Client.Address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	if p := m.Client.Proxy; p != nil {
		e.Client.Proxy = &pipeline.Proxy{Address: p.Address.Unmap(), Name: legible(p.Name), Authority: legible(p.Authority), UniqueID: p.UniqueID}
		if p.TLS != nil {
			e.Client.Proxy.TLS = &codec.ProxyTLS{
				Version: legible(p.TLS.Version), Cipher: legible(p.TLS.Cipher),
				CommonName: legible(p.TLS.CommonName), Verified: p.TLS.Verified,
			}
		}
	}
	if s := m.Client.TLS; s != nil {
		tls := *s
		tls.SNI = legible(s.SNI)
		if c := s.Certificate; c != nil {
			tls.Certificate = &pipeline.ClientCertificate{Subject: legible(c.Subject), SHA256: c.SHA256, Verified: c.Verified}
		}
		e.Client.TLS = &tls
	}
	e.Client.Role = m.Client.Role
	if a := m.Client.Auth; a != nil {
		e.Client.Auth = &pipeline.Auth{Mechanism: a.Mechanism, Identity: legible(a.Identity), Backend: a.Backend, Issuer: legible(a.Issuer)}
	}
	for i := range m.Envelope.Recipients() {
		e.Envelope.RcptTo = append(e.Envelope.RcptTo, legible(m.Envelope.Recipient(i)))
	}
	return e
}

func compileSchema(t testing.TB) *jsonschema.Schema {
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

// events returns messages of all kinds, nasty ones too.
func events() map[string]*pipeline.Message {
	all := porttest.Extremes()
	all["plain"] = porttest.Stored()

	reported := porttest.Stored()
	reported.Envelope.Body, reported.Envelope.SizeDeclared = codec.Body8BitMIME, 1<<40
	reported.Report = codec.BodyReport{BareCR: true, BareLF: true, NUL: true, EightBit: true, LongestLine: 100000}
	reported.Client.Address = netip.MustParseAddrPort("[2001:db8::1]:65535")
	reported.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 999999999, time.FixedZone("UTC-5", -5*3600))
	reported.Result.Blob.Offset, reported.Result.Blob.Length, reported.Result.Blob.CRC32C = 1<<50, 1<<45, 0xffffffff
	all["reported"] = reported

	mapped := porttest.Stored()
	mapped.Client.Address = netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	mapped.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // the fraction has three digits all the same
	mapped.Gateway = "<script>&'\u2028\u2029\U0001F4E7\ufffd"
	all["mapped"] = mapped

	proxied := porttest.Stored()
	proxied.Client.Proxy = &pipeline.Proxy{
		Address: netip.MustParseAddr("::ffff:10.0.0.1"), Name: "client.example.org", Authority: "mx\"é\xff", UniqueID: "00ff",
		TLS: &codec.ProxyTLS{Version: "TLSv1.3", Cipher: "\x00", CommonName: "\\", Verified: true},
	}
	all["proxied"] = proxied

	secure := porttest.Stored()
	secure.Envelope.RequireTLS = true
	secure.Client.TLS = &pipeline.TLS{
		Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Group: "X25519MLKEM768", Resumed: true, SNI: "mx\"é\xff",
		Certificate: &pipeline.ClientCertificate{Subject: "CN=\x00\\", SHA256: "00ff", Verified: true},
	}
	all["TLS"] = secure

	submitted := porttest.Stored()
	submitted.Client.Role = pipeline.RoleSubmission
	submitted.Client.Auth = &pipeline.Auth{Mechanism: "XOAUTH2", Identity: "ann\"é@example.net", Backend: "oidc-token", Issuer: "https://sts.example.net/\xff"}
	all["submitted"] = submitted

	skipped := porttest.Stored()
	skipped.Verdicts = &pipeline.Verdicts{Skipped: pipeline.SkippedTrusted}
	all["not verified"] = skipped

	verified := porttest.Stored()
	verified.Verdicts = someVerdicts()
	all["verified"] = verified

	bare := porttest.Stored()
	bare.Verdicts = someVerdicts()
	bare.Verdicts.DKIM, bare.Verdicts.DMARC.Record = nil, nil
	all["verified without a record"] = bare

	discarded := porttest.Stored()
	discarded.Result.Blob = pipeline.Blob{Store: "discard", Length: 10, Added: 10}
	all["discarded"] = discarded
	return all
}

// TestEvent validates events by the schema that consumers have, and compares
// what ParseEvent reads with what the message held.
func TestEvent(t *testing.T) {
	schema := compileSchema(t)
	for name, m := range events() {
		t.Run(name, func(t *testing.T) {
			value := pipeline.AppendEvent(nil, m)
			if err := validate(t, schema, value); err != nil {
				t.Error(err)
			}
			checkParsed(t, value, m)
		})
	}
}

func checkParsed(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, value []byte, m *pipeline.Message,
) {
	t.Helper()
	got, err := pipeline.ParseEvent(value)
	if err != nil {
		t.Fatalf("%v: %q", err, value)
	}
	if want := expected(m); !reflect.DeepEqual(got, want) {
		t.Fatalf("read back %+v\nwant %+v", got, want)
	}
}

// TestEventGolden holds the exact form that consumers rely on.
func TestEventGolden(t *testing.T) {
	m := traced(t, "192.0.2.1:4711", "a@example.net", "b@example.net")
	m.Envelope.SizeDeclared = -1
	m.Summary.MessageID = []byte("<1@example.org>")
	m.Result.Digest[0] = 0xab
	m.Result.Blob = pipeline.Blob{Store: "dir", Bucket: "mail", Key: m.Key(), Length: 300, Added: 200, CRC32C: 0xe3069283}
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

// TestOriginIsOfTheEvent compares the origin with the same fields of the event.
func TestOriginIsOfTheEvent(t *testing.T) {
	m := &pipeline.Message{}
	m.Reset()
	m.Gateway = "mx1.example.net"
	m.Client = pipeline.Client{Address: netip.MustParseAddrPort("[2001:db8::7]:2525"), Helo: "h\"él\\o", Protocol: "ESMTP"}
	m.Envelope.SetReversePath([]byte("a@example.org"))
	m.Envelope.AddRecipient([]byte("b@example.net"))
	m.Envelope.AddRecipient([]byte("c@example.net"))
	m.ReceivedAt = time.Unix(0, 0)
	var event, origin map[string]any
	if err := json.Unmarshal(pipeline.AppendEvent(nil, m), &event); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(pipeline.AppendOrigin(nil, m), &origin); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"gateway", "client", "envelope"} {
		if origin[field] == nil || !reflect.DeepEqual(origin[field], event[field]) {
			t.Errorf("%s: %v, event has %v", field, origin[field], event[field])
		}
		delete(origin, field)
	}
	if len(origin) > 0 {
		t.Errorf("more than the event's fields: %v", origin)
	}
}

// FuzzEvent: whatever a client sends, the event is JSON, and UTF-8 comes back
// as it was.
func FuzzEvent(f *testing.F) {
	f.Add("client.example.org", "sender@example.org", "recipient@example.net", "<1@example.org>")
	f.Add("\x00\x1f\x7f\"\\/", "\xff\xfe\xc3\x28", "\u2028\u2029\ufffd\U0001F4E7", "\xed\xa0\x80\xf4\x90\x80\x80")
	f.Fuzz(func(t *testing.T, helo, from, to, messageID string) {
		if to == "" {
			return // no path is empty but the null reverse path
		}
		m := porttest.Stored()
		m.Client.Helo, m.Gateway = helo, from
		m.Envelope.SetReversePath([]byte(from))
		m.Envelope.AddRecipient([]byte(to))
		m.Summary.MessageID = []byte(messageID)
		value := pipeline.AppendEvent(nil, m)
		if !json.Valid(value) {
			t.Fatalf("no JSON: %q", value)
		}
		checkParsed(t, value, m)
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

package pipeline_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"sluice/codec"
	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestEventRefused breaks an event in each way: the schema refuses it, and ParseEvent
// does with an error that names the field, what it must be and what it is.
func TestEventRefused(t *testing.T) {
	schema := compileSchema(t)
	for name, test := range map[string]struct{ old, new, says string }{
		"no object":            {"", "[]", "value must be an object, is []"},
		"field missing":        {`"gateway":"mx.example.net",`, "", "gateway is missing"},
		"object missing":       {`,"blob":`, `,"blot":`, "blob is missing"},
		"inner field missing":  {`"helo":"client.example.org",`, "", "client.helo is missing"},
		"name in capitals":     {`"helo"`, `"HELO"`, "client.helo is missing"},
		"wrong type":           {`"port":4711`, `"port":"4711"`, `client.port must be an integer from 0 to 65535, is "4711"`},
		"object is a string":   {`"tls":null`, `"tls":"1.3"`, `client.tls must be an object or null, is "1.3"`},
		"AUTH in part":         {`"auth":null`, `"auth":{"mechanism":"PLAIN"}`, `client.auth.identity is missing`},
		"TLS in part":          {`"tls":null`, `"tls":{"version":"TLSv1.3"}`, `client.tls.cipher is missing`},
		"verdicts in part":     {`"blob":{`, `"verdicts":{"disposition":"accept"},"blob":{`, `verdicts.cause is missing`},
		"verdicts null":        {`"blob":{`, `"verdicts":null,"blob":{`, `verdicts must be an object, is null`},
		"skipped for nothing":  {`"blob":{`, `"verdicts":{"skipped":""},"blob":{`, `verdicts.skipped must be a string that is not empty, is ""`},
		"DKIM no list":         {`"blob":{`, `"verdicts":` + changedVerdicts(`[{"domain"`, `{"was":[{"domain"`, `],"dkim_skipped"`, `]},"dkim_skipped"`) + `,"blob":{`, `verdicts.dkim must be an array, is {"was":[`},
		"signature in part":    {`"blob":{`, `"verdicts":` + changedVerdicts(`"selector":"s1",`, ``) + `,"blob":{`, `verdicts.dkim[0].selector is missing`},
		"no result":            {`"blob":{`, `"verdicts":` + changedVerdicts(`"spf":{"result":"pass"`, `"spf":{"result":""`) + `,"blob":{`, `verdicts.spf.result must be a string that is not empty`},
		"many forged":          {`"blob":{`, `"verdicts":` + changedVerdicts(`"forged":2`, `"forged":2147483648`) + `,"blob":{`, `verdicts.forged must be an integer from 0 to 2147483647`},
		"record in part":       {`"blob":{`, `"verdicts":` + changedVerdicts(`"adkim":"r",`, ``) + `,"blob":{`, `verdicts.dmarc.record.adkim is missing`},
		"digest not in hex":    {`"tls":null`, `"tls":` + strings.Replace(someTLS, `"ab"`, `"abc"`, 1), `client.tls.certificate.sha256 must be pairs`},
		"object is null":       {`"blob":{`, `"blob":null,"was":{`, "blob must be an object, is null"},
		"string is null":       {`"gateway":"mx.example.net"`, `"gateway":null`, "gateway must be a string, is null"},
		"string is an object":  {`"gateway":"mx.example.net"`, `"gateway":{}`, "gateway must be a string, is {}"},
		"bool is null":         {`"smtputf8":false`, `"smtputf8":null`, "envelope.smtputf8 must be true or false, is null"},
		"number is null":       {`"longest_line":0`, `"longest_line":null`, "message.longest_line must be an integer from 0 to 9223372036854775807, is null"},
		"optional is null":     {`"bare_cr":false`, `"bare_cr":null`, "message.bare_cr must be true or false, is null"},
		"optional is a number": {`"nul":false`, `"nul":0`, "message.nul must be true or false, is 0"},
		"port too large":       {`"port":4711`, `"port":65536`, "client.port must be an integer from 0 to 65535, is 65536"},
		"fraction":             {`"port":4711`, `"port":4711.5`, "client.port must be an integer from 0 to 65535, is 4711.5"},
		"negative":             {`"offset":0`, `"offset":-1`, "blob.offset must be an integer from 0 to 9223372036854775807, is -1"},
		"no recipients":        {`[{"address":"recipient@example.net"}]`, `[]`, "envelope.rcpt_to must be an array of at least one recipient, is []"},
		"recipients null":      {`[{"address":"recipient@example.net"}]`, `null`, "envelope.rcpt_to must be an array of at least one recipient, is null"},
		"recipient a string":   {`{"address":"recipient@example.net"}`, `"a@example.net"`, `envelope.rcpt_to[0] must be an object, is "a@example.net"`},
		"second recipient":     {`}],"body"`, `},{"address":""}],"body"`, `envelope.rcpt_to[1].address must be a string that is not empty, is ""`},
		"unknown body":         {`"7BIT"`, `"9BIT"`, `envelope.body must be 7BIT, 8BITMIME or BINARYMIME, is "9BIT"`},
		"short digest":         {`"sha256":"00`, `"sha256":"`, "message.sha256 must be a SHA-256 in lower-case hex, is"},
		"digest in capitals":   {`"sha256":"00`, `"sha256":"AA`, "message.sha256 must be a SHA-256 in lower-case hex, is"},
		"time in zone":         {`Z","gateway"`, `+00:00","gateway"`, "received_at must be a UTC time with milliseconds, such as"},
		"time with a comma":    {`.000Z"`, `,000Z"`, "received_at must be a UTC time with milliseconds, such as"},
		"id in capitals":       {`"id":"01`, `"id":"AB`, "id must be a UUID of version 7, is"},
		"id of version 4":      {`-7`, `-4`, "id must be a UUID of version 7, is"},
		"no address":           {`"address":"192.0.2.1"`, `"address":""`, `client.address must be an IP address, is ""`},
		"checksum a number":    {`3q2+7w==`, `3735928559`, `blob.crc32c must be the base64 of four bytes, is "3735928559"`},
		"checksum for URLs":    {`3q2+7w==`, `3q2-7w==`, `blob.crc32c must be the base64 of four bytes, is "3q2-7w=="`},
		"unknown container":    {`"offset"`, `"container":"zip","offset"`, `blob.container must be tar, is "zip"`},
		"no container":         {`"offset"`, `"container":"","offset"`, `blob.container must be tar, is ""`},
	} {
		t.Run(name, func(t *testing.T) {
			bad := changed(t, test.old, test.new)
			if err := validate(t, schema, []byte(bad)); err == nil {
				t.Errorf("the schema takes %s", bad)
			}
			if _, err := pipeline.ParseEvent([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "event: "+test.says) {
				t.Errorf("error %v, want %s", err, test.says)
			}
		})
	}
}

// TestEventUnreadable has what no schema can say, or says otherwise.
func TestEventUnreadable(t *testing.T) {
	for name, test := range map[string]struct{ old, new, says string }{
		"empty":               {"", " ", "not JSON: unexpected end of JSON input"},
		"cut":                 {"", "{", "not JSON: unexpected end of JSON input"},
		"two":                 {`"}}`, `"}}{}`, "not JSON: invalid character '{' after top-level value"},
		"not UTF-8":           {"mx.example.net", "\xff", "not UTF-8"},
		"field twice":         {`"port":4711`, `"port":4711,"port":25`, "client.port is there twice"},
		"added field twice":   {`{"id"`, `{"later":1,"later":1,"id"`, "later is there twice"},
		"exponent":            {`"port":4711`, `"port":4e3`, "client.port must be an integer from 0 to 65535, is 4e3"},
		"not an address":      {"192.0.2.1", "mail.example.org", `client.address must be an IP address, is "mail.example.org"`},
		"no such day":         {`"received_at":"20`, `"received_at":"2026-02-30T00:00:00.000Z","was":"20`, "received_at must be a UTC time"},
		"more than 64 bits":   {`"size_declared":0`, `"size_declared":9223372036854775808`, "envelope.size_declared must be an integer"},
		"bits left over":      {`3q2+7w==`, `3q2+7x==`, "blob.crc32c must be the base64 of four bytes"},
		"a long value":        {`"gateway":"mx.example.net"`, `"gateway":[` + strings.Repeat("1,", 99) + `1]`, "gateway must be a string, is [" + strings.Repeat("1,", 29) + "1…"},
		"a long value, UTF-8": {`"gateway":"mx.example.net"`, `"gateway":["` + strings.Repeat("é", 99) + `"]`, `gateway must be a string, is ["` + strings.Repeat("é", 29) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pipeline.ParseEvent([]byte(changed(t, test.old, test.new)))
			if err == nil || !strings.HasPrefix(err.Error(), "event: "+test.says) {
				t.Errorf("error %v, want %s", err, test.says)
			}
		})
	}
}

// someTLS is client.tls of an event.
const someTLS = `{"version":"TLSv1.3","cipher":"TLS_AES_128_GCM_SHA256","group":"X25519","resumed":false,"sni":"mx.example.net",` +
	`"certificate":{"subject":"CN=a","sha256":"ab","verified":true}}`

// someAuth is client.auth of an event.
const someAuth = `{"mechanism":"PLAIN","identity":"ann@example.net","backend":"static","issuer":""}`

// TestEventTaken has events that AppendEvent does not write, and that consumers must
// take all the same.
func TestEventTaken(t *testing.T) {
	schema := compileSchema(t)
	for name, change := range map[string][2]string{
		"fields added":      {`{"id"`, `{"later":{"bare_cr":[1,{}]},"id"`},
		"inner field added": {`{"address":"recipient@example.net"`, `{"address":"recipient@example.net","orcpt":"rfc822;a@b"`},
		"optional absent":   {`"bare_cr":false,"bare_lf":false,"nul":false,`, ``},
		"TLS":               {`"tls":null`, `"tls":` + someTLS},
		"AUTH":              {`"auth":null`, `"auth":` + someAuth + `,"role":"submission"`},
		"role mx":           {`"auth":null`, `"auth":null,"role":"mx"`},
		"white space":       {`{"id"`, " {\n\t\"id\" "},
		"more white space":  {`"}}`, "\"\r\n} \t}\r\n"},
		"brackets in text":  {`"auth":null`, `"auth":null,"later":{"a":"}]{[\\\"","b\\":[1,[2 , {}],"\\\\"]}`},
		"escapes":           {`"id"`, `"\u0069d"`},
	} {
		t.Run(name, func(t *testing.T) {
			value := []byte(changed(t, change[0], change[1]))
			want := expected(received())
			if name == "AUTH" {
				want.Client.Role = pipeline.RoleSubmission
				want.Client.Auth = &pipeline.Auth{Mechanism: "PLAIN", Identity: "ann@example.net", Backend: "static"}
			}
			if name == "TLS" {
				want.Client.TLS = &pipeline.TLS{
					Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Group: "X25519", SNI: "mx.example.net",
					Certificate: &pipeline.ClientCertificate{Subject: "CN=a", SHA256: "ab", Verified: true},
				}
			}
			if err := validate(t, schema, value); err != nil {
				t.Error(err)
			}
			got, err := pipeline.ParseEvent(value)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v\nwant %+v", got, want)
			}
		})
	}
}

// received is a message that changed starts from.
func received() *pipeline.Message {
	m := porttest.Stored()
	m.ID, _ = pipeline.ParseID("01a21c58-aa61-7007-ac27-9e1de1d30207")
	m.Result.Blob.Key = m.Key()
	m.ReceivedAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return m
}

// changed replaces a piece of a good event, or all of it.
func changed(t *testing.T, old, new string) string {
	t.Helper()
	if old == "" {
		return new
	}
	good := string(pipeline.AppendEvent(nil, received()))
	if !strings.Contains(good, old) {
		t.Fatalf("%s is not in %s", old, good)
	}
	return strings.Replace(good, old, new, 1)
}

func validate(t *testing.T, schema *jsonschema.Schema, value []byte) error {
	t.Helper()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance)
}

// remade is a message that has this event.
func remade(e *pipeline.Event) *pipeline.Message {
	m := &pipeline.Message{}
	m.Reset()
	m.ID, m.ReceivedAt, m.Gateway, m.Client = e.ID, e.ReceivedAt, e.Gateway, e.Client
	m.Envelope.SetReversePath([]byte(e.Envelope.MailFrom))
	for _, to := range e.Envelope.RcptTo {
		m.Envelope.AddRecipient([]byte(to))
	}
	if e.Envelope.Body == codec.Body8BitMIME.String() {
		m.Envelope.Body = codec.Body8BitMIME
	}
	m.Envelope.SizeDeclared, m.Envelope.RequireTLS = e.Envelope.SizeDeclared, e.Envelope.RequireTLS
	m.Summary.MessageID, m.Report = []byte(e.Message.MessageID), e.Message.Report
	m.Result.Blob, m.Result.Digest = e.Blob, e.Message.SHA256
	m.Verdicts = e.Verdicts
	return m
}

// TestEventRoundTrip: whatever a message holds, its event is read back with all that
// it says, and written again it is the same bytes.
func TestEventRoundTrip(t *testing.T) {
	schema := compileSchema(t)
	rapid.Check(t, func(r *rapid.T) {
		m := drawMessage(r)
		value := pipeline.AppendEvent(nil, m)
		checkParsed(r, value, m)
		e, _ := pipeline.ParseEvent(value)
		if again := pipeline.AppendEvent(nil, remade(e)); !bytes.Equal(again, value) {
			r.Fatalf("written again %s\nwas           %s", again, value)
		}
		if err := validate(t, schema, value); err != nil {
			r.Fatal(err)
		}
	})
}

func drawMessage(r *rapid.T) *pipeline.Message {
	octets := func(name string, least int) []byte { return rapid.SliceOfN(rapid.Byte(), least, 80).Draw(r, name) }
	size := func(name string) int64 { return rapid.Int64Range(0, math.MaxInt64).Draw(r, name) }
	m := &pipeline.Message{}
	m.Reset()
	m.ID = pipeline.NewID(time.UnixMilli(rapid.Int64Range(0, 1<<47).Draw(r, "ms")), drawn{r})
	m.ReceivedAt = time.Unix(rapid.Int64Range(0, 253402300799).Draw(r, "seconds"), rapid.Int64Range(0, 999999999).Draw(r, "ns"))
	m.Gateway = string(octets("gateway", 0))
	address := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "ipv6")))
	if rapid.Bool().Draw(r, "is IPv4") {
		address = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(r, "ipv4")))
	}
	m.Client = pipeline.Client{
		Address:  netip.AddrPortFrom(address, rapid.Uint16().Draw(r, "port")),
		Helo:     string(octets("helo", 0)),
		Protocol: rapid.SampledFrom([]string{"SMTP", "ESMTP", "ESMTPSA"}).Draw(r, "protocol"),
	}
	if rapid.Bool().Draw(r, "is proxied") {
		m.Client.Proxy = &pipeline.Proxy{
			Address: netip.AddrFrom4([4]byte{10, 0, 0, 1}), Authority: string(octets("authority", 0)),
			Name:     string(octets("name", 0)),
			UniqueID: hex.EncodeToString(octets("unique id", 0)),
		}
		if rapid.Bool().Draw(r, "is encrypted") {
			m.Client.Proxy.TLS = &codec.ProxyTLS{
				Version: string(octets("version", 0)), Cipher: string(octets("cipher", 0)),
				CommonName: string(octets("common name", 0)), Verified: rapid.Bool().Draw(r, "is verified"),
			}
		}
	}
	m.Envelope.SetReversePath(octets("from", 0))
	for i := range rapid.IntRange(1, 5).Draw(r, "recipients") {
		m.Envelope.AddRecipient(octets(fmt.Sprint("to", i), 1))
	}
	m.Envelope.Body = rapid.SampledFrom([]codec.BodyType{codec.BodyUnspecified, codec.Body7Bit, codec.Body8BitMIME}).Draw(r, "body")
	m.Envelope.SizeDeclared = rapid.Int64Range(-1, math.MaxInt64).Draw(r, "declared")
	m.Summary.MessageID = octets("message id", 0)
	flag := func(name string) bool { return rapid.Bool().Draw(r, name) }
	m.Report = codec.BodyReport{
		BareCR: flag("bare CR"), BareLF: flag("bare LF"), NUL: flag("NUL"), EightBit: flag("eight bit"),
		LongestLine: int(size("longest line")),
	}
	copy(m.Result.Digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "digest"))
	m.Result.Blob = pipeline.Blob{
		Store:     rapid.SampledFrom([]string{"dir", "s3", "discard"}).Draw(r, "store"),
		Bucket:    rapid.String().Draw(r, "bucket"),
		Key:       rapid.String().Draw(r, "key"),
		Container: rapid.SampledFrom([]string{"", pipeline.ContainerTar}).Draw(r, "container"),
		Offset:    size("offset"), Length: size("length"),
		CRC32C: rapid.Uint32().Draw(r, "crc"),
	}
	m.Result.Blob.Added = rapid.Int64Range(0, m.Result.Blob.Length).Draw(r, "added")
	m.Verdicts = drawVerdicts(r)
	return m
}

// drawn is the randomness of an id.
type drawn struct{ r *rapid.T }

func (d drawn) Uint64() uint64 { return rapid.Uint64().Draw(d.r, "random") }

// FuzzParseEvent: what is taken is an event by the schema, and a message that has this
// event gives it again.
func FuzzParseEvent(f *testing.F) {
	for _, m := range events() {
		f.Add(pipeline.AppendEvent(nil, m))
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := pipeline.ParseEvent(value)
		if err != nil {
			return
		}
		if err := validate(t, schema, value); err != nil {
			t.Fatalf("taken, but %v: %q", err, value)
		}
		if e.Blob.Added > e.Blob.Length || e.Message.Size != e.Blob.Length-e.Blob.Added ||
			e.Envelope.SMTPUTF8 || e.Envelope.Body == "BINARYMIME" || e.Client.Address.Addr().Is4In6() {
			return // no message of today has it
		}
		again, err := pipeline.ParseEvent(pipeline.AppendEvent(nil, remade(e)))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("again %+v, %v\nwas   %+v", again, err, e)
		}
	})
}

func BenchmarkParseEvent(b *testing.B) {
	value := pipeline.AppendEvent(nil, porttest.Stored())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pipeline.ParseEvent(value); err != nil {
			b.Fatal(err)
		}
	}
}

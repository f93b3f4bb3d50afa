package s3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"pgregory.net/rapid"

	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestMetadataOnServers rebuilds what an event holds apart from the message.
func TestMetadataOnServers(t *testing.T) {
	for _, server := range servers {
		s := mustOpen(t, server.options(t))
		m := porttest.NewMessage([]byte("body"))
		m.Client.Helo = "h\x7fé😀 \xff\"\\  x"
		m.Envelope.AddRecipient([]byte("ünder@exämple.net"))
		want := pipeline.AppendOrigin(nil, m)
		at, added := m.ReceivedAt, len(m.Header)
		sent, err := porttest.Store(s, m)
		if err != nil || sent.Err != nil {
			t.Fatalf("%v %v", err, sent.Err)
		}
		info, err := s.client.StatObject(t.Context(), s.bucket, sent.Blob.Key, minio.StatObjectOptions{Checksum: true})
		if err != nil {
			t.Fatal(err)
		}
		meta := map[string]string{}
		for k, v := range info.UserMetadata {
			meta[strings.ToLower(k)] = v
		}
		if !sameJSON(t, []byte(meta[metaOrigin]), want) {
			t.Errorf("%s: origin %s, want %s", server.name, meta[metaOrigin], want)
		}
		if meta[metaAdded] != strconv.Itoa(added) || meta[metaReceived] != at.UTC().Format(time.RFC3339Nano) {
			t.Errorf("%s: %v", server.name, meta)
		}
		if info.ContentType != "message/rfc822" || info.ChecksumCRC32C != checksum(sent.Blob.CRC32C) {
			t.Errorf("%s: type %s, checksum %s", server.name, info.ContentType, info.ChecksumCRC32C)
		}
	}
}

func sameJSON(t testing.TB, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Errorf("%s: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Errorf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

// TestMetadataIsBounded adds recipients until the origin is left out.
func TestMetadataIsBounded(t *testing.T) {
	m := porttest.NewMessage(nil)
	fitted, left := 0, 0
	for i := range 200 {
		all := metadata(m)
		size := 0
		for k, v := range all {
			size += len(k) + len(v)
		}
		if size > maxMetadata || all[metaAdded] == "" {
			t.Fatalf("%d bytes, %q", size, all)
		}
		if all[metaOrigin] != "" {
			fitted = i
		} else {
			left++
		}
		m.Envelope.AddRecipient(fmt.Appendf(nil, "recipient-%d@example.net", i))
	}
	if fitted < 10 || left+fitted+1 != 200 {
		t.Errorf("%d recipients fitted, left out %d times", fitted, left)
	}
}

// TestMetadataOfAnUpload checks that an upload has no metadata of what its loop may be
// writing meanwhile, such as the time of the final dot.
func TestMetadataOfAnUpload(t *testing.T) {
	m := porttest.NewMessage(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Header, m.ReceivedAt = []byte("Received: x\r\n"), time.Now()
	}()
	if all := partMetadata(m); len(all) != 1 || all[metaOrigin] == "" {
		t.Errorf("%q", all)
	}
	<-done
}

func TestASCIIJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		encoded, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		ascii := asciiJSON(encoded)
		if i := strings.IndexFunc(ascii, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Fatalf("%q is not printable ASCII", ascii)
		}
		var got string
		if err := json.Unmarshal([]byte(ascii), &got); err != nil || got != string(bytes.ToValidUTF8([]byte(want), []byte("\ufffd"))) {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	})
}

package content

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sluice/index"
)

// FuzzRead reads anything: in bounded time, with each part as Part finds it, and with
// texts that a row keeps after index.Clean.
func FuzzRead(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s.bytes()))
	}
	for _, h := range hostile {
		b := make([]byte, 2048)
		n, _ := h.message(2).Read(b)
		f.Add(b[:n])
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		began := time.Now()
		c, err := Read(bytes.NewReader(message), 256)
		if err != nil {
			t.Fatal(err)
		}
		if spent := time.Since(began); spent > 10*time.Second {
			t.Errorf("%d bytes took %s", len(message), spent)
		}
		if len(c.Text) > 256 || !utf8.ValidString(c.Text) {
			t.Errorf("text %q", c.Text)
		}
		numbers := map[string]bool{}
		for _, p := range c.Parts {
			if numbers[p.Number] || p.Size < 0 || p.Size > int64(len(message)) || len(p.SHA256) != 64 {
				t.Errorf("part %+v", p)
			}
			numbers[p.Number] = true
		}
		checkParts(t, message, c)
		text, err := Text(bytes.NewReader(message), 256)
		if err != nil || text != strings.TrimSpace(c.Text) {
			t.Errorf("%q, %v; Read has %q", text, err, c.Text)
		}
		m := index.Message{Header: c.Header, Parts: c.Parts, Defects: c.Defects}
		index.Clean(&m)
		if all, err := json.Marshal(m); err != nil || !utf8.Valid(all) || bytes.Contains(all, []byte(`\u0000`)) {
			t.Errorf("%q, %v", all, err)
		}
	})
}

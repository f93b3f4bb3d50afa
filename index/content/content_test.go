package content

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sluice/index"
)

// TestRead reads each sample at once, and byte by byte, and finds each part by its number.
func TestRead(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			c := read(t, s.bytes())
			if got := partLines(c.Parts); got != s.parts {
				t.Errorf("parts:\n%s\nwant:\n%s", got, s.parts)
			}
			if got := defectWords(c.Defects); got != s.defects {
				t.Errorf("defects: %q, want %q", got, s.defects)
			}
			if c.Text != s.text && s.name != "names" {
				t.Errorf("text: %q, want %q", c.Text, s.text)
			}
			for _, check := range s.check {
				name, want, _ := strings.Cut(check, "=")
				if got := headerValue(&c.Header, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			slow, err := Read(iotest.OneByteReader(strings.NewReader(s.bytes())), 1<<10)
			if err != nil || fmt.Sprintf("%+v", slow) != fmt.Sprintf("%+v", c) {
				t.Errorf("byte by byte: %v\n%+v, want\n%+v", err, slow, c)
			}
			checkParts(t, []byte(s.bytes()), c)
		})
	}
}

func read(t testing.TB, message string) *Content {
	t.Helper()
	c, err := Read(strings.NewReader(message), 1<<10)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkParts finds parts of a message by Part, with the size and hash of Read. Of many it
// leaves some out.
func checkParts(t testing.TB, message []byte, c *Content) {
	t.Helper()
	for i := range c.Parts {
		if i > 20 && i < len(c.Parts)-5 {
			continue
		}
		want := c.Parts[i]
		sum := sha256.New()
		err := Part(bytes.NewReader(message), want.Number, func(p *index.Part, decoded io.Reader) error {
			n, err := io.Copy(sum, decoded)
			got := *p
			got.Size, got.SHA256 = n, hex.EncodeToString(sum.Sum(nil))
			if got != want {
				t.Errorf("part %s: %+v, want %+v", want.Number, got, want)
			}
			return err
		})
		if err != nil {
			t.Errorf("part %s: %v", want.Number, err)
		}
	}
}

func partLines(parts []index.Part) string {
	lines := make([]string, 0, len(parts))
	for _, p := range parts {
		lines = append(lines, p.Number+" "+p.Type+` "`+p.Name.Text+`"`)
	}
	return strings.Join(lines, "\n")
}

func defectWords(defects []index.Defect) string {
	words := make([]string, 0, len(defects))
	for _, d := range defects {
		w := d.Kind
		if d.Part != "" {
			w += "@" + d.Part
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func headerValue(h *index.Header, name string) string {
	switch name {
	case "id":
		return h.MessageID
	case "refs":
		return strings.Join(h.References, " ")
	case "from":
		return mailboxes(h.From)
	case "to":
		return mailboxes(h.To)
	case "cc":
		return mailboxes(h.Cc)
	case "reply":
		return mailboxes(h.ReplyTo)
	case "subject":
		return h.Subject.Text
	case "date":
		return h.Date.Format(time.RFC3339)
	}
	return "no such value"
}

func mailboxes(list []index.Address) string {
	texts := make([]string, 0, len(list))
	for _, a := range list {
		text := a.Address
		if a.Name.Text != "" {
			text = a.Name.Text
			if a.Address != "" {
				text += " <" + a.Address + ">"
			}
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "|")
}

// TestPartIsMissing finds no part, and returns the errors of the reader and of the caller.
func TestPartIsMissing(t *testing.T) {
	broken := errors.New("broken")
	none := func(*index.Part, io.Reader) error { return broken }
	if err := Part(strings.NewReader("From: a@x\n\nx"), "2", none); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := Part(strings.NewReader("From: a@x\n\nx"), "1", none); !errors.Is(err, broken) {
		t.Error(err)
	}
	cut := func() io.Reader { return io.MultiReader(strings.NewReader("From: a@x\n\nx"), iotest.ErrReader(broken)) }
	if err := Part(cut(), "2", none); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := Read(cut(), 0); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := Text(cut(), 10); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestFieldsAndText return what is shown of a message.
func TestFieldsAndText(t *testing.T) {
	const message = "From: a@x\r\nSubject: a\r\n b\r\n\r\nHello\r\n"
	for limit, want := range map[int]string{1000: "From: a@x\r\nSubject: a\r\n b\r\n", 8: "From: a@"} {
		if got, err := Fields(strings.NewReader(message), limit); err != nil || got != want {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := Text(strings.NewReader(message), 4); err != nil || got != "Hell" {
		t.Errorf("%q, %v", got, err)
	}
}

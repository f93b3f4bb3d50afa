package content

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

// TestWhereGoMessageGivesUp is why MIME is read by this package: emersion/go-message
// loses parts of each of these messages, or keeps headers of any size.
func TestWhereGoMessageGivesUp(t *testing.T) {
	const first, second = "--b\r\n\r\none\r\n", "--b\r\nContent-Type: a/b; name=x\r\n\r\ntwo\r\n--b--\r\n"
	for name, message := range map[string]string{
		"preamble of a long line":  strings.Repeat("p", 5000) + "\r\n" + first + second,
		"header line without name": "--b\r\nno field\r\nX: y\r\n\r\none\r\n" + second,
		"mixed line ends":          strings.ReplaceAll(first, "\r", "") + second,
		"boundary and a dash":      "--b\r\n\r\none\r\n--b-\r\n" + second,
		"broken base64":            "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nb25l*\r\n" + second,
	} {
		message = multipartHead + message
		if n := len(read(t, message).Parts); n != 2 {
			t.Errorf("%s: %d parts", name, n)
		}
		if n, err := walk(message); n >= 2 && err == nil {
			t.Errorf("%s: go-message reads all of it", name)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	large := multipartHead + "--b\r\nX: " + strings.Repeat("x", 8<<20) + "\r\n\r\none\r\n" + second
	_, _ = walk(large)
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc < 16<<20 {
		t.Error("go-message bounds the headers of parts")
	}
}

// walk reads a message by go-message, and counts its parts.
func walk(text string) (parts int, err error) {
	e, err := message.Read(strings.NewReader(text))
	if err != nil {
		return 0, err
	}
	err = e.Walk(func(path []int, e *message.Entity, err error) error {
		if err != nil || len(path) == 0 {
			return err
		}
		parts++
		_, err = io.Copy(io.Discard, e.Body)
		return err
	})
	return parts, err
}

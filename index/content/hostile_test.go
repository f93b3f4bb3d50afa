package content

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"sluice/index"
)

// repeated is a reader of a text, n times.
func repeated(text string, n int) io.Reader {
	return io.LimitReader(&repeater{text: text}, int64(len(text))*int64(n))
}

type repeater struct {
	text string
	at   int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

func str(s string) io.Reader { return strings.NewReader(s) }

// nested is multiparts in each other; with one more than maxDepth the innermost stays unread.
func nested(depth int) string {
	var b strings.Builder
	b.WriteString("From: a@x\r\n")
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\ntext\r\n")
	return b.String()
}

const multipartHead = "From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"

// hostile are messages that must not cost more than others of their size.
var hostile = []struct {
	name    string
	message func(n int) io.Reader // n is about its size, in KiB
	defect  string
}{
	{"depth", func(n int) io.Reader { return str(nested(n * 16)) }, index.DefectDepth},
	{"depth of messages", func(n int) io.Reader {
		return repeated("Content-Type: message/rfc822\r\n\r\n", n*32)
	}, index.DefectDepth},
	{"depth of equal boundaries", func(n int) io.Reader {
		return repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n*20)
	}, index.DefectBoundary},
	{"parts", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("--b\r\n\r\nx\r\n", n*100))
	}, index.DefectParts},
	{"names", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("--b\r\nContent-Type: a/b; name=\""+strings.Repeat("n", 60<<10)+"\"\r\n\r\nx\r\n", n/60))
	}, index.DefectBoundary},
	{"boundary that never ends", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead+"--b"), repeated(" ", n<<10))
	}, index.DefectBoundary},
	{"boundaries almost", func(n int) io.Reader {
		long := strings.Repeat("b", 500)
		return io.MultiReader(str("Content-Type: multipart/mixed; boundary="+long+"\r\n\r\n"), repeated("\r\n--"+long[1:]+"\r\n--"+long+"c", n))
	}, index.DefectBoundary},
	{"dashes", func(n int) io.Reader {
		return io.MultiReader(str(nested(maxDepth)), repeated("\r\n--", n<<8))
	}, index.DefectBoundary},
	{"preamble without end", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("preamble\r\n", n*100))
	}, index.DefectBoundary},
	{"header line", func(n int) io.Reader {
		return io.MultiReader(str("To: "), repeated("<a@x>, ", n*146), str("\r\n\r\nx"))
	}, index.DefectHeader},
	{"line without colon", func(n int) io.Reader {
		return repeated("a", n<<10)
	}, index.DefectHeader},
	{"header fields", func(n int) io.Reader {
		return io.MultiReader(repeated("a:\r\n", n*256), str("\r\nx"))
	}, index.DefectHeader},
	{"malformed lines", func(n int) io.Reader {
		return io.MultiReader(str("From: a@x\r\n"), repeated("x\r\na:\r\n", n*146), str("\r\nx"))
	}, index.DefectHeader},
	{"folded line", func(n int) io.Reader {
		return io.MultiReader(str("To: a@x\r\n"), repeated(" \r\n", n*340), str("\r\nx"))
	}, index.DefectHeader},
	{"header of a part", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead+"--b\r\nContent-Type: text/plain"), repeated("; name*0*=a%20", n*73), str("\r\n\r\nx\r\n--b--\r\n"))
	}, index.DefectHeader},
	{"base64", func(n int) io.Reader {
		return io.MultiReader(str("Content-Transfer-Encoding: base64\r\n\r\n"), repeated(strings.Repeat("QUJD", 19)+"\r\n", n*13))
	}, ""},
	{"padding", func(n int) io.Reader {
		return io.MultiReader(str("Content-Transfer-Encoding: base64\r\n\r\n"), repeated("QQ==", n*256))
	}, ""},
	{"nothing but junk", func(n int) io.Reader {
		return io.MultiReader(str("Content-Transfer-Encoding: base64\r\n\r\n"), repeated("=*", n*512))
	}, index.DefectEncoding},
	{"quoted-printable in one line", func(n int) io.Reader {
		return io.MultiReader(str("Content-Transfer-Encoding: quoted-printable\r\n\r\n"), repeated("=3D= ", n*204))
	}, index.DefectEncoding},
	{"HTML without text", func(n int) io.Reader {
		return io.MultiReader(str("Content-Type: text/html\r\n\r\n"), repeated("<a b='c'><!--", n*78))
	}, ""},
	{"HTML tag without end", func(n int) io.Reader {
		return io.MultiReader(str("Content-Type: text/html\r\n\r\n<a "), repeated("b=c ", n*256))
	}, ""},
	{"HTML in base64 in messages", func(n int) io.Reader {
		head := "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		return io.MultiReader(repeated(strings.ReplaceAll(head, "=", "=3D"), maxDepth), repeated("=3D\r\n", n*204))
	}, ""},
	{"HTML attributes", func(n int) io.Reader {
		return io.MultiReader(str("Content-Type: text/html\r\n\r\n"), repeated("<a "+strings.Repeat("x ", 40<<10)+">", n/80))
	}, ""},
	{"HTML script without end", func(n int) io.Reader {
		return io.MultiReader(str("Content-Type: text/html\r\n\r\n<script>"), repeated("</", n*512))
	}, ""},
	{"quotes of parameters", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("--b\r\nContent-Type: a/b"+strings.Repeat(";a=\"x", 10<<10)+"\r\n\r\n", n/50))
	}, index.DefectContentType},
	{"escaped quotes of parameters", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("--b\r\nContent-Type: a/b"+strings.Repeat(";a=\"\\\"", 9<<10)+"\r\n\r\n", n/50))
	}, index.DefectContentType},
	{"address literals", func(n int) io.Reader {
		return io.MultiReader(str("To: "), repeated("@[", n*512), str("\r\n\r\nx"))
	}, index.DefectHeader},
	{"addresses of nothing", func(n int) io.Reader {
		return io.MultiReader(str("To: "), repeated("(", 100), repeated("<:@,\"", n*200), str("\r\n\r\nx"))
	}, index.DefectAddress},
	{"encoded words without end", func(n int) io.Reader {
		return io.MultiReader(str("Subject: "), repeated("=?a?q?", n*170), str("\r\nTo: "), repeated("=?a?q?", n*170), str("\r\n\r\nx"))
	}, ""},
	{"encoded words in two charsets", func(n int) io.Reader {
		return io.MultiReader(str("Subject: "), repeated("=?koi8-r?q??= =?big5?q?=ff?=", n*36), str("\r\n\r\nx"))
	}, index.DefectCharset},
	{"encoded names", func(n int) io.Reader {
		return io.MultiReader(str("To: "), repeated("=?koi8-r?q?a?= <a@x>,", n*48), str("\r\n\r\nx"))
	}, ""},
	{"ids", func(n int) io.Reader {
		var b strings.Builder
		for i := range n * 128 {
			fmt.Fprintf(&b, "<%x>", i)
		}
		return io.MultiReader(str("References: "), str(b.String()), str("\r\n\r\nx"))
	}, ""},
	{"pieces of a name", func(n int) io.Reader {
		var b strings.Builder
		for i := range 4000 {
			fmt.Fprintf(&b, ";name*%d*=%%20", 4000-i)
		}
		return io.MultiReader(str(multipartHead), repeated("--b\r\nContent-Type: a/b"+b.String()+"\r\n\r\n", n/64))
	}, ""},
	{"messages beside each other", func(n int) io.Reader {
		return io.MultiReader(str(multipartHead), repeated("--b\r\nContent-Type: message/rfc822\r\n\r\n", n*24))
	}, index.DefectParts},
	{"text of an unknown charset", func(n int) io.Reader {
		return io.MultiReader(str("Content-Type: text/plain; charset=x\r\n\r\n"), repeated("\xff", n<<10))
	}, index.DefectCharset},
}

// TestHostile reads each hostile message in time that grows as its size does, and in
// memory that does not.
func TestHostile(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			sizes := []int{hostileSize / 16, hostileSize}
			spent := make([]time.Duration, len(sizes))
			for i, n := range sizes {
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				counted := &counter{r: h.message(n)}
				c, err := Read(counted, 4<<10)
				spent[i] = time.Since(began)
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				if n, _ := io.Copy(io.Discard, counted); n > 0 {
					t.Errorf("%d bytes were not read", n)
				}
				if h.defect != "" && i == 1 && !strings.Contains(defectWords(c.Defects), h.defect) {
					t.Errorf("defects %.200s, want %s", defectWords(c.Defects), h.defect)
				}
				if len(c.Parts) > maxParts || len(c.Text) > 4<<10 {
					t.Errorf("%d parts, %d bytes of text", len(c.Parts), len(c.Text))
				}
				allocated := int64(after.TotalAlloc - before.TotalAlloc)
				t.Logf("%d KiB: %s, %d KiB allocated, %d parts", counted.n>>10, spent[i], allocated>>10, len(c.Parts))
				if allocated > 64<<20 {
					t.Errorf("%d KiB allocated", allocated>>10)
				}
			}
			// Sixteen times the size, and far less than 256 times the time.
			if spent[1] > 100*max(spent[0], 20*time.Millisecond) {
				t.Errorf("%s, then %s", spent[0], spent[1])
			}
		})
	}
}

// TestRepeatedReferences wants an id that stands there many times to cost no more behind
// many others than alone.
func TestRepeatedReferences(t *testing.T) {
	var many strings.Builder
	for i := range maxIDs - 1 {
		fmt.Fprintf(&many, "<i%d@x>", i)
	}
	spent := func(first string) time.Duration {
		field := first + strings.Repeat("<i998@x>", 12<<10)
		least := time.Hour
		for range 3 {
			began := time.Now()
			if _, err := Read(str("References: "+field+"\r\nIn-Reply-To: "+field+"\r\n\r\nx"), 0); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	if alone, behind := spent(""), spent(many.String()); behind > 30*alone {
		t.Errorf("%s alone, %s behind %d others", alone, behind, maxIDs-1)
	}
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

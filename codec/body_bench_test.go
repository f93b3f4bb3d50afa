package codec

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"net/textproto"
	"testing"
	"time"
)

// benchBody is the size of the bodies in octets: that of a socket buffer and of a body
// slab, so that all of it is in the CPU cache.
const benchBody = 64 << 10

// bigBody is larger than the CPU cache.
const bigBody = 64 << 20

// mailText returns prose: lines of 40 to 78 octets, of which one in dotted begins with a
// dot.
func mailText(dotted int) []byte {
	rng := rand.New(rand.NewPCG(9, 10))
	var b []byte
	for len(b) < benchBody {
		if rng.IntN(dotted) == 0 {
			b = append(b, '.', '.')
		}
		for range 40 + rng.IntN(39) {
			b = append(b, "etaoin shrdlu"[rng.IntN(13)])
		}
		b = append(b, '\r', '\n')
	}
	return append(b, ".\r\n"...)
}

// base64Text returns an attachment in lines of 76 columns (RFC 2045 §6.8).
func base64Text() []byte {
	rng := rand.New(rand.NewPCG(11, 12))
	line := make([]byte, 57)
	var b []byte
	for len(b) < benchBody {
		for i := range line {
			line[i] = byte(rng.Uint32())
		}
		b = base64.StdEncoding.AppendEncode(b, line)
		b = append(b, '\r', '\n')
	}
	return append(b, ".\r\n"...)
}

// bigText returns an attachment that is read from memory and not from the cache.
func bigText() []byte {
	text := bytes.TrimSuffix(base64Text(), []byte(".\r\n"))
	return append(bytes.Repeat(text, bigBody/len(text)), ".\r\n"...)
}

// binaryLine returns random octets without CR and LF: one line.
func binaryLine() []byte {
	rng := rand.New(rand.NewPCG(13, 14))
	var b []byte
	for len(b) < benchBody {
		if c := byte(rng.Uint32()); c != '\r' && c != '\n' {
			b = append(b, c)
		}
	}
	return append(b, "\r\n.\r\n"...)
}

// BenchmarkBody decodes bodies, copies them and reads them with net/textproto, taking
// turns within one run. The metrics are the speed of the decoder relative to DotReader
// and relative to copy, with and without scanLines. They are computed from the best turn
// of each, because slower turns show only the other work of the machine.
func BenchmarkBody(b *testing.B) {
	for _, body := range []struct {
		name string
		src  []byte
	}{
		{"text", mailText(1000)}, {"text_with_dots", mailText(40)},
		{"base64", base64Text()}, {"binary", binaryLine()}, {"base64_big", bigText()},
	} {
		b.Run(body.name, func(b *testing.B) { benchmarkBody(b, body.src) })
	}
}

func benchmarkBody(b *testing.B, src []byte) {
	dst := make([]byte, len(src))
	reader := bytes.NewReader(nil)
	buffered := bufio.NewReaderSize(nil, benchBody)
	// Small bodies are decoded several times a turn, so that the clock is precise enough.
	calls := max(1, 8*benchBody/len(src))
	decodeAll := func() {
		var d BodyDecoder
		if _, _, done := d.Decode(dst, src); !done {
			b.Fatal("no end")
		}
	}
	scan := canScan
	defer func() { canScan = scan }()
	turn := bestTurn{calls: calls}
	decode, portable, copying, dot := turn, turn, turn, turn
	for b.Loop() {
		decode.run(decodeAll)
		copying.run(func() { copy(dst, src) })
		canScan = false
		portable.run(decodeAll)
		canScan = scan
		dot.run(func() {
			reader.Reset(src)
			buffered.Reset(reader)
			dotReader := textproto.NewReader(buffered).DotReader()
			for {
				if _, err := dotReader.Read(dst); err == io.EOF {
					return
				} else if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.ReportMetric(0, "ns/op") // the sum over all contestants is meaningless
	b.ReportMetric(dot.best/decode.best, "x_DotReader")
	b.ReportMetric(copying.best/decode.best, "of_copy")
	b.ReportMetric(dot.best/portable.best, "portable_x_DotReader")
	b.ReportMetric(copying.best/portable.best, "portable_of_copy")
	b.ReportMetric(float64(len(src))/decode.best, "GB/s")
}

// bestTurn keeps the time of one call in the fastest turn, in nanoseconds.
type bestTurn struct {
	calls int // per turn
	best  float64
}

func (t *bestTurn) run(f func()) {
	start := time.Now()
	for range t.calls {
		f()
	}
	took := float64(time.Since(start).Nanoseconds()) / float64(t.calls)
	if t.best == 0 || took < t.best {
		t.best = took
	}
}

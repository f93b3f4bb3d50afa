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

// Bodies of benchmark size, as they come over the wire, with their end. They
// are of the size of a socket buffer.
const benchBody = 64 << 10

// mailText is prose: lines of 40 to 78 octets, one in forty of them dotted.
func mailText() []byte {
	rng := rand.New(rand.NewPCG(9, 10))
	var b []byte
	for len(b) < benchBody {
		if rng.IntN(40) == 0 {
			b = append(b, '.', '.')
		}
		for range 40 + rng.IntN(39) {
			b = append(b, "etaoin shrdlu"[rng.IntN(13)])
		}
		b = append(b, '\r', '\n')
	}
	return append(b, ".\r\n"...)
}

// base64Text is an attachment: 76 columns (RFC 2045 §6.8).
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

// binaryLine is random octets without CR and LF: one line.
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

// BenchmarkBody decodes bodies, and in the same run copies them and reads them
// with net/textproto, turn by turn, so that a machine whose speed wavers slows
// all three. The metrics are how many times faster than DotReader the decoder
// is, and what share of the speed of copy it reaches.
func BenchmarkBody(b *testing.B) {
	for _, body := range []struct {
		name string
		src  []byte
	}{{"text", mailText()}, {"base64", base64Text()}, {"binary", binaryLine()}} {
		b.Run(body.name, func(b *testing.B) { benchmarkBody(b, body.src) })
	}
}

func benchmarkBody(b *testing.B, src []byte) {
	dst := make([]byte, len(src))
	reader := bytes.NewReader(nil)
	buffered := bufio.NewReaderSize(nil, len(src))
	var decode, dot, copying time.Duration
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		var d BodyDecoder
		if _, _, done := d.Decode(dst, src); !done {
			b.Fatal("no end")
		}
		decode += time.Since(start)

		b.StopTimer()
		start = time.Now()
		copy(dst, src)
		copying += time.Since(start)

		start = time.Now()
		reader.Reset(src)
		buffered.Reset(reader)
		dotReader := textproto.NewReader(buffered).DotReader()
		for {
			_, err := dotReader.Read(dst)
			if err == io.EOF {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		dot += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(dot)/float64(decode), "x_DotReader")
	b.ReportMetric(float64(copying)/float64(decode), "of_copy")
	b.ReportMetric(float64(b.N)*float64(len(src))/1e9/copying.Seconds(), "copy_GB/s")
	b.ReportMetric(float64(b.N)*float64(len(src))/1e9/decode.Seconds(), "decode_GB/s")
}

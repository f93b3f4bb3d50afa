package codec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// decoded holds all results of decoding, for comparison.
type decoded struct {
	out    string
	ns     int
	done   bool
	report BodyReport
}

// naiveBody decodes src as RFC 5321 §4.5.2 describes, with all of src at hand.
func naiveBody(src string) decoded {
	var d decoded
	content := src
	switch end := strings.Index(src, "\r\n.\r\n"); {
	case strings.HasPrefix(src, ".\r\n"):
		content, d.done, d.ns = "", true, 3
	case end >= 0:
		content, d.done, d.ns = src[:end+2], true, end+5
	default:
		d.ns = len(src)
	}
	for _, line := range strings.SplitAfter(content, "\r\n") {
		if line == "." || line == ".\r" {
			continue // incomplete: may be the end
		}
		line = strings.TrimPrefix(line, ".")
		d.out += line
		if text, ok := strings.CutSuffix(line, "\r\n"); ok {
			d.report.LongestLine = max(d.report.LongestLine, len(text))
		}
	}
	crlfLess := strings.TrimSuffix(strings.ReplaceAll(d.out, "\r\n", "  "), "\r")
	d.report.BareCR = strings.Contains(crlfLess, "\r")
	d.report.BareLF = strings.Contains(crlfLess, "\n")
	for i := range len(d.out) {
		d.report.NUL = d.report.NUL || d.out[i] == 0
		d.report.EightBit = d.report.EightBit || d.out[i] >= 0x80
	}
	return d
}

// decodeBody decodes src in pieces of at most chunk() octets into a dst of room octets,
// which is emptied whenever it is full.
func decodeBody(t testing.TB, src string, room int, chunk func() int) decoded {
	var d BodyDecoder
	var res decoded
	var out []byte
	in := []byte(src)
	// The octets beyond the room must not be touched.
	buf := bytes.Repeat([]byte{0xEE}, room+64)
	fed := 0
	for fed < len(in) && !res.done {
		fed += min(chunk(), len(in)-fed)
		for res.ns < fed && !res.done {
			nd, ns, done := d.Decode(buf[:room], in[res.ns:fed])
			if nd == 0 && ns == 0 {
				t.Fatalf("%q: no progress at %d with room for %d", src, res.ns, room)
			}
			out = append(out, buf[:nd]...)
			res.ns += ns
			res.done = done
		}
	}
	if bytes.Count(buf[room:], buf[len(buf)-1:]) != 64 || buf[room] != 0xEE {
		t.Fatalf("%q: wrote past the end of dst", src)
	}
	res.out, res.report = string(out), d.Report()
	return res
}

func whole() int { return 1 << 30 }

func single() int { return 1 }

func randomly(rng *rand.Rand, most int) func() int {
	return func() int { return 1 + rng.IntN(most) }
}

// everyString calls f with every string over alphabet up to length n.
func everyString(alphabet string, n int, f func(s string)) {
	buf := make([]byte, n)
	var extend func(at int)
	extend = func(at int) {
		f(string(buf[:at]))
		if at == n {
			return
		}
		for i := range len(alphabet) {
			buf[at] = alphabet[i]
			extend(at + 1)
		}
	}
	extend(0)
}

// bothWays runs a test with scanLines, if the processor supports it, and without it.
func bothWays(t *testing.T, test func(t *testing.T)) {
	scan := canScan
	t.Cleanup(func() { canScan = scan })
	for _, canScan = range []bool{scan, false} {
		t.Run(fmt.Sprintf("scan=%t", canScan), test)
		if !scan {
			break
		}
	}
}

// TestBodyEveryString compares the decoder with the naive one on all strings up
// to length 9 (7 with -short) over the octets that matter.
func TestBodyEveryString(t *testing.T) { bothWays(t, bodyEveryString) }

func bodyEveryString(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	count, longest := 0, 9
	if testing.Short() {
		longest = 7
	}
	everyString("\r\n.x", longest, func(src string) {
		count++
		want := naiveBody(src)
		for _, got := range []decoded{
			decodeBody(t, src, 16, whole),
			decodeBody(t, src, 16, single),
			decodeBody(t, src, 16, randomly(rng, 5)),
			decodeBody(t, src, 4, whole),
			decodeBody(t, src, 2, randomly(rng, 5)),
		} {
			if got != want {
				t.Fatalf("%q:\n got %+v\nwant %+v", src, got, want)
			}
		}
	})
	if want := (1<<(2*longest+2) - 1) / 3; count != want {
		t.Errorf("%d strings, want %d", count, want)
	}
}

// TestBodyEveryStringInside sets all strings up to length 4 between runs of other octets,
// so that they lie at, before and across the boundaries of the blocks in which long input
// is read.
func TestBodyEveryStringInside(t *testing.T) { bothWays(t, bodyEveryStringInside) }

func bodyEveryStringInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	fillings := []string{strings.Repeat("y", 300), strings.Repeat("y\r\n", 100)}
	everyString("\r\n.x\x00\x80", 4, func(s string) {
		for _, filling := range fillings {
			for _, before := range []int{0, 1, 27, 28, 29, 30, 31, 32, 33, 59, 60, 61, 62, 63, 64, 65, 91 + rng.IntN(40)} {
				src := filling[:before] + s + filling[:rng.IntN(140)]
				want := naiveBody(src)
				if got := decodeBody(t, src, 512, whole); got != want {
					t.Fatalf("%q:\n got %+v\nwant %+v", src, got, want)
				}
				room := 4 + rng.IntN(200)
				if got := decodeBody(t, src, room, randomly(rng, 150)); got != want {
					t.Fatalf("%q, room for %d:\n got %+v\nwant %+v", src, room, got, want)
				}
			}
		}
	})
}

// TestBodyLong decodes random text that is longer than one run and contains all octets.
func TestBodyLong(t *testing.T) { bothWays(t, bodyLong) }

func bodyLong(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	pieces := []string{"\r\n", "\r\n", "\r\n.", "\r\n..", "\n", "\r", ".", "x", "\x00", "\xff", "\r\n.\r", "\r\r\n", strings.Repeat("z", 76), strings.Repeat("z", 1000)}
	for round := range 300 {
		// Most rounds use few kinds, or the report would always be all true.
		kinds := pieces[:2]
		kinds = append(kinds[:2:2], pieces[len(pieces)-2:]...)
		for range rng.IntN(4) {
			kinds = append(kinds, pieces[rng.IntN(len(pieces))])
		}
		var src strings.Builder
		for src.Len() < 3*bodyRun {
			src.WriteString(kinds[rng.IntN(len(kinds))])
		}
		if round%2 == 0 {
			src.WriteString("\r\n.\r\nQUIT\r\n")
		}
		want := naiveBody(src.String())
		if got := decodeBody(t, src.String(), 4*bodyRun, whole); got != want {
			t.Fatalf("kinds %q: whole differs: %+v, want %+v", kinds, got.report, want.report)
		}
		if got := decodeBody(t, src.String(), 1000, randomly(rng, 3000)); got != want {
			t.Fatalf("kinds %q: in pieces differs: %+v, want %+v", kinds, got.report, want.report)
		}
	}
}

func TestBodyDoneStaysDone(t *testing.T) {
	var d BodyDecoder
	dst := make([]byte, 64)
	src := []byte("a\r\n.\r\nQUIT\r\n")
	nd, ns, done := d.Decode(dst, src)
	if !done || string(dst[:nd]) != "a\r\n" || string(src[ns:]) != "QUIT\r\n" {
		t.Fatalf("Decode: %q, rest %q, done %t", dst[:nd], src[ns:], done)
	}
	if nd, ns, done := d.Decode(dst, src[ns:]); nd != 0 || ns != 0 || !done {
		t.Errorf("Decode after the end: %d, %d, %t", nd, ns, done)
	}
}

func TestBodyAllocs(t *testing.T) { bothWays(t, bodyAllocs) }

func bodyAllocs(t *testing.T) {
	src := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n..dot\r\n", 500) + ".\r\n")
	dst := make([]byte, len(src))
	if n := testing.AllocsPerRun(100, func() {
		var d BodyDecoder
		_, ns, _ := d.Decode(dst, src[:len(src)/2])
		_, _, done := d.Decode(dst, src[ns:])
		if r := d.Report(); !done || r.LongestLine != 76 {
			t.Fatalf("done %t, %+v", done, r)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

package pipeline

import (
	"bytes"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

var castagnoliTable = crc32.MakeTable(crc32.Castagnoli)

func sumCRC32C(b []byte) uint32 { return crc32.Checksum(b, castagnoliTable) }

// TestCombineCRC32CKnown uses the check value of RFC 3720 §B.4's polynomial, the
// CRC32C of "123456789", split everywhere.
func TestCombineCRC32CKnown(t *testing.T) {
	const check = 0xe3069283
	text := []byte("123456789")
	for i := range len(text) + 1 {
		if got := CombineCRC32C(sumCRC32C(text[:i]), sumCRC32C(text[i:]), int64(len(text)-i)); got != check {
			t.Errorf("split at %d: %08x, want %08x", i, got, check)
		}
	}
}

func TestCombineCRC32CAnySplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "octets")
		var crc uint32 // of nothing
		for rest := whole; len(rest) > 0; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "piece")
			if n == 0 {
				n = len(rest)
			}
			crc = CombineCRC32C(crc, sumCRC32C(rest[:n]), int64(n))
			rest = rest[n:]
		}
		if want := sumCRC32C(whole); crc != want {
			t.Fatalf("%08x, want %08x", crc, want)
		}
	})
}

// TestCombineCRC32CLong doubles a length up to 2^42 bytes, each step checked by
// another way to the same bytes: 2n zeros are n zeros behind n zeros, and one
// more byte is a step of the ordinary algorithm.
func TestCombineCRC32CLong(t *testing.T) {
	const mebi = 1 << 20
	zeros := sumCRC32C(bytes.Repeat([]byte{0}, mebi))
	first := sumCRC32C([]byte("first"))
	for length := int64(mebi); length < 1<<42; length *= 2 {
		double := CombineCRC32C(zeros, zeros, length)
		stepwise := CombineCRC32C(CombineCRC32C(first, zeros, length), zeros, length)
		if got := CombineCRC32C(first, double, 2*length); got != stepwise {
			t.Fatalf("%d bytes: %08x, want %08x", 2*length, got, stepwise)
		}
		one := CombineCRC32C(double, sumCRC32C([]byte{7}), 1)
		if want := crc32.Update(double, castagnoliTable, []byte{7}); one != want {
			t.Fatalf("one octet behind %d: %08x, want %08x", 2*length, one, want)
		}
		zeros = double
	}
}

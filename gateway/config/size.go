package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// Units of Size, as the configuration writes them.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var sizeUnits = []struct {
	suffix string
	octets Size
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"", 1}}

// parseSize parses a number of bytes, or an integer with KiB, MiB or GiB. Decimal units
// are not accepted: 50MB and 50MiB differ by 5 %, and users mean either.
func parseSize(text string) (Size, bool) {
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(text, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || n > uint64(math.MaxInt64/unit.octets) {
			return 0, false
		}
		return Size(n) * unit.octets, true
	}
	return 0, false
}

// String returns the size in the largest unit that leaves no fraction.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && s%unit.octets == 0 {
			return fmt.Sprintf("%d%s", int64(s/unit.octets), unit.suffix)
		}
	}
	return "0"
}

// Share is a fraction of the machine's memory: Percent of it, or Octets bytes if Percent
// is 0.
type Share struct {
	Percent int
	Octets  Size
}

func parseShare(text string) (Share, bool) {
	if digits, found := strings.CutSuffix(text, "%"); found {
		percent, err := strconv.ParseUint(digits, 10, 31)
		return Share{Percent: int(percent)}, err == nil && percent > 0
	}
	size, ok := parseSize(text)
	return Share{Octets: size}, ok
}

func (s Share) String() string {
	if s.Percent != 0 {
		return strconv.Itoa(s.Percent) + "%"
	}
	return s.Octets.String()
}

// of returns the share of memory bytes, in bytes. It divides first, so that a percentage
// of the largest machine does not overflow.
func (s Share) of(memory int64) int64 {
	if s.Percent != 0 {
		return memory / 100 * int64(s.Percent)
	}
	return int64(s.Octets)
}

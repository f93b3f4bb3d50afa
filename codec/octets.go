package codec

import "encoding/binary"

// Classes of octets in RFC 5321 §4.1.2 and RFC 5322 §3.2.3. They share one table, so that
// a check is one load and one test.
const (
	classAtext   = 1 << iota // atext (RFC 5322 §3.2.3)
	classLetDig              // Let-dig (RFC 5321 §4.1.2) and the underscore, see domain.go
	classDigit               // DIGIT
	classQtext               // qtextSMTP: unescaped octets of a quoted string
	classDcont               // dcontent: octets of a general address literal
	classValue               // esmtp-value: printable, neither space nor "="
	classGraphic             // %d33-126: printable, no space
	classHex                 // hexadecimal digits
)

var octetClass = buildOctetClasses()

func buildOctetClasses() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		graphic := 33 <= c && c <= 126
		t[i] = classIf(letter || digit, classAtext|classLetDig) |
			classIf(c == '_', classLetDig) |
			classIf(digit, classDigit) |
			classIf((32 <= c && c <= 126) && c != '"' && c != '\\', classQtext) |
			classIf(graphic && (c < '[' || c > ']'), classDcont) |
			classIf(graphic && c != '=', classValue) |
			classIf(graphic, classGraphic) |
			classIf(digit || 'a' <= c|0x20 && c|0x20 <= 'f', classHex)
	}
	for _, c := range []byte("!#$%&'*+-/=?^_`{|}~") {
		t[c] |= classAtext
	}
	return t
}

func classIf(is bool, class uint8) uint8 {
	if is {
		return class
	}
	return 0
}

func is(c byte, class uint8) bool { return octetClass[c]&class != 0 }

func isWSP(c byte) bool { return c == ' ' || c == '\t' }

func trimLeft(b []byte) []byte {
	for len(b) > 0 && isWSP(b[0]) {
		b = b[1:]
	}
	return b
}

func trim(b []byte) []byte {
	b = trimLeft(b)
	for len(b) > 0 && isWSP(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold reports whether b equals s without regard to ASCII case. s is in upper case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

const (
	swarOnes = 0x0101010101010101
	swarHigh = 0x8080808080808080
)

// hasNULOr8Bit reports whether b holds an octet that is 0 or above 127. It takes eight
// octets a step: w-0x01… borrows into the high bit of a zero octet, and w itself has that
// bit for an octet above 127. A borrow cannot mislead: it starts only at a zero octet,
// and then the answer is true anyway.
func hasNULOr8Bit(b []byte) bool {
	var acc uint64
	for len(b) >= 32 {
		w0 := binary.LittleEndian.Uint64(b)
		w1 := binary.LittleEndian.Uint64(b[8:])
		w2 := binary.LittleEndian.Uint64(b[16:])
		w3 := binary.LittleEndian.Uint64(b[24:])
		acc |= (w0 - swarOnes) | w0 | (w1 - swarOnes) | w1 |
			(w2 - swarOnes) | w2 | (w3 - swarOnes) | w3
		b = b[32:]
	}
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		acc |= (w - swarOnes) | w
		b = b[8:]
	}
	for _, c := range b {
		w := uint64(c)
		acc |= ((w - 1) & 0x80) | w
	}
	return acc&swarHigh != 0
}

// has8Bit reports whether b holds an octet above 127. It returns early if so.
func has8Bit(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&swarHigh != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

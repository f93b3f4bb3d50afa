package sqlite

import (
	"net/netip"
	"strings"
)

// plain are the characters of terms that FTS5 takes as they are: its tokenizer takes them
// as parts of a word, and folds none.
var plain = func() (set [256]bool) {
	for c := range set {
		set[c] = c >= 0x80 || strings.IndexByte("!#$&()*+,-./0123456789:;<=>?@[]_abcdefghijklmnopqrstuvwxyz{|}~", byte(c)) >= 0
	}
	return set
}()

// appendTerm appends a term as one token of FTS5, which has no spaces and no capitals: ^a
// stands for A, and what is not plain is in hexadecimal, such as %20.
func appendTerm(dst []byte, term string) []byte {
	if term == "" {
		return append(dst, '%')
	}
	for i := range len(term) {
		switch c := term[i]; {
		case plain[c]:
			dst = append(dst, c)
		case c-'A' < 26:
			dst = append(dst, '^', c+'a'-'A')
		default:
			const digits = "0123456789abcdef"
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// appendWanted appends a term to an expression of FTS5.
func appendWanted(dst []byte, term string) []byte {
	if len(dst) > 0 {
		dst = append(dst, " AND "...)
	}
	dst = append(dst, '"')
	dst = appendTerm(dst, term)
	return append(dst, '"')
}

// The lengths of the networks of a client that have a term each.
var (
	lengths4 = []int{32, 24, 16, 8}
	lengths6 = []int{128, 64, 48, 32}
)

func lengths(a netip.Addr) []int {
	if a.Is4() {
		return lengths4
	}
	return lengths6
}

// appendNetwork appends the token of a network, which no term has.
func appendNetwork(dst []byte, a netip.Addr, bits int) []byte {
	network, err := a.Prefix(bits)
	if err != nil {
		return dst
	}
	return network.AppendTo(append(dst, "%n"...))
}

// appendClient appends the tokens of a client's networks, each behind a space.
func appendClient(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	for _, bits := range lengths(a) {
		dst = appendNetwork(append(dst, ' '), a, bits)
	}
	return dst
}

// appendWantedClient appends the least network with a term that p is in, if any.
func appendWantedClient(dst []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return dst
	}
	for _, bits := range lengths(p.Addr()) {
		if bits <= p.Bits() {
			if len(dst) > 0 {
				dst = append(dst, " AND "...)
			}
			return append(appendNetwork(append(dst, '"'), p.Addr(), bits), '"')
		}
	}
	return dst
}

package dkim

import (
	"bytes"
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"sluice/gateway/verify/domain"
	"sluice/gateway/verify/fields"
)

// prefixLength is how many characters of b= tell signatures apart (RFC 6008 §4).
const prefixLength = 8

// maxNames is how many fields all signatures of a message may name. Each costs a look-up
// and a hash, and may take two bytes of mail. Mail has a few dozen.
const maxNames = 400

// signature is a DKIM-Signature field (RFC 6376 §3.5).
type signature struct {
	result       Result
	done         bool // the result is final
	field        int  // its place in the header
	header, body canon
	names        []byte // h=
	cutFrom      int    // the value of b=, in the value of the field
	cutTo        int
	bodyHash     []byte
	length       int64  // l=, or -1
	value        []byte // b=
	identity     string // the domain of i=
	digest       [32]byte
	open         bool // a field that ends the header for some programs is not signed
}

// end makes a result final.
func (s *signature) end(v Verdict, why Reason) {
	s.result.Verdict, s.result.Reason, s.done = v, why, true
}

// newSignature returns the signature of a field whose tags are known.
func newSignature(field int, tags []tag, ok bool, now int64) *signature {
	s := &signature{field: field}
	s.result.Domain, _ = domain.ASCII(text(tags, "d", ""))
	s.result.Selector, _ = domain.ASCII(text(tags, "s", ""))
	b := find(tags, "b")
	if b != nil {
		s.cutFrom, s.cutTo = b.start, b.end
		s.value, _ = decode(b.value)
		s.result.Prefix = prefix(b.value)
	}
	if !ok {
		s.end(Neutral, ReasonSyntax)
		return s
	}
	switch text(tags, "a", "") {
	case "rsa-sha256", "ed25519-sha256", "rsa-sha1":
		s.result.Algorithm = text(tags, "a", "")
	}
	if why := s.parse(tags); why != ReasonNone {
		s.end(Neutral, why)
		return s
	}
	s.judge(tags, now)
	return s
}

// parse reads the tags, and returns why they cannot be understood.
func (s *signature) parse(tags []tag) Reason {
	for _, name := range [...]string{"v", "a", "b", "bh", "d", "h", "s"} {
		if t := find(tags, name); t == nil || len(t.value) == 0 {
			return ReasonSyntax
		}
	}
	var known bool
	s.header, s.body, known = canons(text(tags, "c", "simple/simple"))
	switch {
	case text(tags, "v", "") != "1":
		return ReasonVersion
	case s.result.Algorithm == "":
		return ReasonAlgorithm
	case !known:
		return ReasonCanon
	case !hasItem([]byte(text(tags, "q", "dns/txt")), "dns/txt"):
		return ReasonQuery
	}
	var ok bool
	if s.bodyHash, ok = decode(find(tags, "bh").value); !ok {
		return ReasonSyntax
	}
	_, asked := domain.ASCII(s.keyName())
	if s.result.Domain == "" || s.result.Selector == "" || len(s.value) == 0 || !asked {
		return ReasonSyntax
	}
	s.names = find(tags, "h").value
	if bytes.Count(s.names, []byte(":")) >= maxNames {
		return ReasonNames
	}
	items(s.names, func(name []byte) bool {
		ok = len(name) > 0
		return ok
	})
	made, okMade := number(tags, "t")
	until, okUntil := number(tags, "x")
	var okLength bool
	s.length, okLength = number(tags, "l")
	if !ok || !okMade || !okUntil || !okLength || made >= 0 && until >= 0 && until <= made {
		return ReasonSyntax
	}
	return ReasonNone
}

// judge decides what the field alone decides.
func (s *signature) judge(tags []tag, now int64) {
	s.identity = s.result.Domain
	if i := find(tags, "i"); i != nil {
		at := bytes.LastIndexByte(i.value, '@')
		name, ok := domain.ASCII(string(i.value[at+1:]))
		if at < 0 || !ok || !domain.Within(name, s.result.Domain) {
			s.end(PermError, ReasonIdentity)
			return
		}
		s.identity = name
	}
	until, _ := number(tags, "x")
	switch {
	case !hasItem(s.names, "from"):
		s.end(PermError, ReasonFrom)
	case s.result.Algorithm == "rsa-sha1":
		s.end(Policy, ReasonSHA1)
	case until >= 0 && until < now:
		s.end(Fail, ReasonExpired)
	case len(s.bodyHash) != 32:
		s.end(Fail, ReasonBody)
	}
}

// keyName returns where the key is.
func (s *signature) keyName() string { return s.result.Selector + "._domainkey." + s.result.Domain }

// canons reads c=. The body's is simple where only one is named.
func canons(value string) (header, body canon, ok bool) {
	h, b, both := strings.Cut(value, "/")
	if !both {
		b = "simple"
	}
	header, okHeader := canonOf(h)
	body, okBody := canonOf(b)
	return header, body, okHeader && okBody
}

func canonOf(name string) (canon, bool) {
	if name == "relaxed" {
		return relaxed, true
	}
	return simple, name == "simple"
}

// number returns the number of a tag, or -1 where there is none. One of more than 18
// digits is as large as any.
func number(tags []tag, name string) (int64, bool) {
	t := find(tags, name)
	if t == nil {
		return -1, true
	}
	for _, c := range t.value {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	if len(t.value) > 18 {
		return math.MaxInt64, true
	}
	n, err := strconv.ParseInt(string(t.value), 10, 64)
	return n, err == nil
}

// decode returns what a base64 text with folding white space stands for.
func decode(value []byte) ([]byte, bool) {
	value = squeeze(bytes.Clone(value))
	n, err := base64.StdEncoding.Decode(value, value)
	return value[:n], err == nil
}

// prefix returns the first characters of b= that are not white space.
func prefix(value []byte) string {
	var kept [prefixLength]byte
	n := 0
	for _, c := range value {
		if n == prefixLength {
			break
		}
		if !isSpace(c) {
			kept[n] = c
			n++
		}
	}
	return string(kept[:n])
}

// rank returns how much a signature matters: 0 that of the author's domain, 1 one of a
// domain above or below it, 2 any other.
func rank(list []byte, from string) int {
	d := trim(first(list, "d"))
	switch {
	case len(d) == 0 || from == "":
		return 2
	case strings.EqualFold(string(d), from):
		return 0
	case below(d, from) || below([]byte(from), string(d)):
		return 1
	}
	return 2
}

// first returns the value of the first tag of a name, without a look at the others.
func first(list []byte, name string) []byte {
	for range maxTags {
		spec, rest, more := bytes.Cut(list, []byte(";"))
		if n, value, _ := bytes.Cut(spec, []byte("=")); string(trim(n)) == name {
			return value
		}
		if !more {
			return nil
		}
		list = rest
	}
	return nil
}

// below reports whether a name is below a domain, in any case.
func below(name []byte, of string) bool {
	cut := len(name) - len(of)
	return cut > 0 && name[cut-1] == '.' && strings.EqualFold(string(name[cut:]), of)
}

// isSignature reports whether a field is a DKIM-Signature.
func isSignature(f fields.Field) bool { return f.Is("DKIM-Signature") }

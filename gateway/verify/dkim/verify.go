// Package dkim verifies DKIM signatures (RFC 6376, 8301, 8463) while a message passes: its
// header first, then its body part by part. The work is linear in the bytes.
package dkim

import (
	"bytes"
	"context"
	"slices"

	"sluice/gateway/verify/fields"
	"sluice/gateway/verify/txt"
)

const (
	// MaxSignatures is how many signatures of a message are verified.
	MaxSignatures = 8
	// maxKeys is how many keys at one name are tried.
	maxKeys = 4
	// maxRecords is how many records at one name are read.
	maxRecords = 16
)

// Options are what a message is verified by.
type Options struct {
	// From is the domain of its author, whose signatures come first. It may be empty.
	From string
	// Now is the time in seconds since 1970, for signatures that expire.
	Now int64
	// Evidence makes results say what was hashed.
	Evidence bool
}

// Verifier verifies one message. It is not safe for concurrent use.
type Verifier struct {
	signatures []*signature
	skipped    int
	hashes     [2]*bodyHash // by canon; nil where no signature needs it
}

// New returns a verifier of the message with a header. It is done with the header when it
// returns, so that fields may be renamed then.
func New(list []fields.Field, o Options) *Verifier {
	v := &Verifier{}
	v.choose(list, o)
	why := ReasonNone
	switch froms := countFrom(list); {
	case froms == 0:
		why = ReasonNoFrom
	case froms > 1:
		// What is shown may not be what was signed (RFC 6376 §8.15).
		why = ReasonTwoFrom
	}
	var live []*signature
	names := 0
	for _, s := range v.signatures {
		if !s.done {
			names += bytes.Count(s.names, []byte(":")) + 1
		}
		switch {
		case s.done:
		case why != ReasonNone:
			s.end(PermError, why)
		case names > maxNames:
			s.end(PermError, ReasonNames)
		default:
			live = append(live, s)
		}
	}
	if len(live) == 0 {
		return v
	}
	h := newHeader(list, live)
	for _, s := range live {
		if o.Evidence {
			s.result.Evidence = &Evidence{
				Key: s.keyName(), Canon: s.header.String() + "/" + s.body.String(), Signed: s.bodyHash,
			}
		}
		s.digest = h.digest(s)
		if v.hashes[s.body] == nil {
			v.hashes[s.body] = newBodyHash(s.body)
		}
		if s.length >= 0 {
			v.hashes[s.body].hash.mark(s.length)
		}
	}
	for _, s := range v.signatures {
		s.names = nil // they are part of the header
	}
	return v
}

func countFrom(list []fields.Field) int {
	n := 0
	for _, f := range list {
		if f.Is("From") {
			n++
		}
	}
	return n
}

// choose parses those signatures that matter most.
func (v *Verifier) choose(list []fields.Field, o Options) {
	var ranked [3][]*signature
	found := 0
	tags := make([]tag, 0, 16)
	for i, f := range list {
		if !isSignature(f) {
			continue
		}
		found++
		r := rank(f.Raw[f.Colon+1:], o.From)
		if len(ranked[r]) == MaxSignatures {
			continue
		}
		var ok bool
		tags, ok = parseTags(tags[:0], f.Raw[f.Colon+1:])
		ranked[r] = append(ranked[r], newSignature(i, tags, ok, o.Now))
	}
	v.signatures = slices.Concat(ranked[0], ranked[1], ranked[2])
	v.signatures = v.signatures[:min(len(v.signatures), MaxSignatures)]
	v.skipped = found - len(v.signatures)
}

// Skipped returns how many signatures are beyond MaxSignatures.
func (v *Verifier) Skipped() int { return v.skipped }

// Keys returns the names at which keys will be looked up, each once.
func (v *Verifier) Keys() []string {
	var names []string
	for _, s := range v.signatures {
		if name := s.keyName(); !s.done && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// NeedsBody reports whether the body matters.
func (v *Verifier) NeedsBody() bool { return v.hashes[simple] != nil || v.hashes[relaxed] != nil }

// Write takes the next part of the body. It keeps nothing of it.
func (v *Verifier) Write(part []byte) {
	for _, h := range v.hashes {
		if h != nil {
			h.write(part)
		}
	}
}

// Results ends the body, looks the keys up and returns what became of each signature,
// those of the author's domain first. It may be called once.
func (v *Verifier) Results(ctx context.Context, resolver txt.Resolver) []Result {
	for _, h := range v.hashes {
		if h != nil {
			h.end()
		}
	}
	results := make([]Result, 0, len(v.signatures))
	for _, s := range v.signatures {
		if !s.done {
			records, outcome := resolver.LookupTXT(ctx, s.keyName())
			s.verify(&v.hashes[s.body].hash, records, outcome)
			s.prove(&v.hashes[s.body].hash)
		}
		results = append(results, s.result)
	}
	return results
}

// verify ends a signature by the records at the name of its key. Where there are several,
// one that verifies is enough.
func (s *signature) verify(body *lengths, records []string, outcome txt.Outcome) {
	switch outcome {
	case txt.Found:
	case txt.Failed:
		s.end(TempError, ReasonDNS)
		return
	default:
		s.end(PermError, ReasonNoKey)
		return
	}
	best, why, tried := PermError, ReasonNoKey, 0
	for _, record := range records[:min(len(records), maxRecords)] {
		k, reason := parseKey(record)
		verdict := PermError
		if reason == ReasonNone {
			if tried++; tried > maxKeys {
				break
			}
			verdict, reason = k.verify(s, body)
		}
		if why == ReasonNoKey || weight[verdict] > weight[best] {
			best, why = verdict, reason
			s.result.Testing = k.testing
			s.result.KeyBits = 0
			if k.rsa != nil {
				s.result.KeyBits = k.rsa.N.BitLen()
			}
		}
		if best == Pass {
			break
		}
	}
	s.end(best, why)
}

// prove completes the evidence, where it is wanted.
func (s *signature) prove(body *lengths) {
	if e := s.result.Evidence; e != nil {
		e.BodyTotal, e.BodyLength, e.BodyHash = body.n, body.n, body.sum(s.length)
		if s.length >= 0 {
			e.BodyLength = min(s.length, body.n)
		}
	}
}

// weight has how much a result counts where several keys have one.
var weight = [...]int{Pass: 3, Fail: 2, Policy: 1, PermError: 0}

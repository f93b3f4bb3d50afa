// Package senders holds who may send as whom: which reverse-paths an identity may use. It
// answers on event loops, without a lock or an allocation. What stands in the mail text,
// such as From, is not its business.
package senders

import (
	"bytes"

	"sluice/gateway/addresses"
	"sluice/gateway/linefile"
)

// Policy is who may send as whom. It is immutable.
type Policy struct {
	rule rule
	list list // of a file
}

// rule is the rule of a policy.
type rule uint8

const (
	ruleOwn    rule = iota // an identity may send as itself
	ruleDomain             // as any address of its domain
	ruleAny                // as anybody
	ruleList               // as itself, and as what a file says
)

// Named returns the policy with a name: own, domain or any. It returns nil for any other.
func Named(name string) *Policy {
	for r, known := range []string{ruleOwn: "own", ruleDomain: "domain", ruleAny: "any"} {
		if name == known {
			return &Policy{rule: rule(r)}
		}
	}
	return nil
}

// Allows reports whether an identity, in lower case, may send as a reverse-path. That is an
// address without angle brackets, or empty for the null path, as which everybody may send
// (RFC 5321 §4.5.5). An identity that is no address has none of its own, and no
// domain.
func (p *Policy) Allows(identity string, reversePath []byte) bool {
	if len(reversePath) == 0 || p.rule == ruleAny {
		return true
	}
	var who [maxIdentity]byte // a conversion would allocate
	var from, own addresses.Key
	if len(identity) > len(who) || !from.Parse(reversePath) {
		return false
	}
	name := who[:copy(who[:], identity)]
	addressed := own.Parse(name)
	if p.rule == ruleDomain {
		return addressed && bytes.Equal(own.Domain(), from.Domain())
	}
	return addressed && bytes.Equal(own.Bytes(), from.Bytes()) ||
		p.rule == ruleList && p.list.has(name, &from)
}

// Count returns the number of identities in the file of a policy, and of the addresses and
// domains that they have in it.
func (p *Policy) Count() (identities, addresses int) {
	if p.rule != ruleList {
		return 0, 0
	}
	return p.list.identities.Len(), p.list.pairs.Len()
}

// Sum returns the SHA-256 of the text that a policy was read from.
func (p *Policy) Sum() linefile.Digest { return p.list.sum }

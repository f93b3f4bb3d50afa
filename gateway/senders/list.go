package senders

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"sluice/gateway/addresses"
	"sluice/gateway/identity"
	"sluice/gateway/linefile"
)

// list holds as which addresses and domains identities may send, beside their own.
//
// An identity stands once in a set of its own. Its place there and the key of an address
// make a pair, so that an address costs its text, four bytes, and what the set takes.
type list struct {
	identities *addresses.Set
	pairs      *addresses.Set
	sum        linefile.Digest
}

// maxIdentity is the longest identity in bytes.
const maxIdentity = identity.MaxUser

// format is that of the file: it has room for ten million lines of 100 bytes. A file without
// a line is one that is about to be written.
var format = linefile.Format{MaxFile: 1 << 30, MaxLine: 64 << 10, Empty: errors.New("no identity in it")}

// Read returns the policy in a file: in each line an identity and, behind white space, the
// addresses as which it may send, or @domain for all of a domain. None of them may have white
// space in it. An identity may have several lines. Empty lines and lines that begin with # do
// not count. An error says in which line it is.
func Read(path string) (*Policy, error) { return read(linefile.File(path)) }

func read(from linefile.Source) (*Policy, error) {
	p := &Policy{rule: ruleList, list: list{identities: addresses.NewSet(), pairs: addresses.NewSet()}}
	var err error
	if p.list.sum, err = from.Read(format, p.list.add); err != nil {
		return nil, err
	}
	return p, nil
}

var (
	errIdentity = fmt.Errorf("is no identity: it is longer than %d bytes or not UTF-8", maxIdentity)
	errAlone    = errors.New("has no address behind it, as which it may send")
)

// add adds the addresses and domains of a line.
func (l *list) add(line []byte) error {
	end := bytes.IndexAny(line, white)
	if end < 0 {
		return fmt.Errorf("%.80q %w", line, errAlone)
	}
	who := []byte(identity.Fold(string(line[:end])))
	if len(who) > maxIdentity || !utf8.Valid(line[:end]) {
		return fmt.Errorf("%.80q %w", line[:end], errIdentity)
	}
	id, err := l.identities.Add(who)
	if err != nil {
		return fmt.Errorf("%.80q %w", who, err)
	}
	for address := range bytes.FieldsSeq(line[end:]) {
		if err := l.addPair(id, address); err != nil {
			return fmt.Errorf("%.80q %w", address, err)
		}
	}
	return nil
}

// white is the white space of a line.
const white = " \t\v\f\r"

func (l *list) addPair(id addresses.Place, address []byte) error {
	var k addresses.Key
	if err := k.ParseItem(address); err != nil {
		return err
	}
	var p pair
	_, err := l.pairs.Add(p.of(id, k.Bytes()))
	return err
}

// pair is an identity's place and the key of an address or of a domain.
type pair [4 + addresses.Max]byte

func (p *pair) of(id addresses.Place, key []byte) []byte {
	binary.BigEndian.PutUint32(p[:], uint32(id))
	return p[:4+copy(p[4:], key)]
}

// has reports whether the list allows an identity an address.
func (l *list) has(identity []byte, from *addresses.Key) bool {
	id := l.identities.Find(identity)
	if id == 0 {
		return false
	}
	var p pair
	return l.pairs.Has(p.of(id, from.Bytes())) || l.pairs.Has(p.of(id, from.Domain()))
}

// Package recipients holds the list of addresses that exist in the accepted domains. It
// reads the list from a file and answers on event loops, without a lock or an allocation.
package recipients

import (
	"bytes"
	"errors"
	"fmt"

	"sluice/gateway/addresses"
	"sluice/gateway/linefile"
)

// List is an immutable set of addresses and of whole domains. Local parts and domains are
// compared without case.
type List struct {
	keys *addresses.Set
	sum  linefile.Digest
}

// format is that of the file: it has room for 25 million addresses of 40 bytes. A list
// without an address would refuse all mail.
var format = linefile.Format{MaxFile: 1 << 30, MaxLine: 4 << 10, Empty: errors.New("no address in it")}

// Load returns the list in a file: an address in each line, or @domain for all addresses of
// a domain. A line that is neither is an error, because a list that was cut would refuse
// mail for good.
func Load(name string) (*List, error) { return read(linefile.File(name)) }

func read(from linefile.Source) (*List, error) {
	l := &List{keys: addresses.NewSet()}
	var err error
	if l.sum, err = from.Read(format, l.add); err != nil {
		return nil, err
	}
	return l, nil
}

// add adds the address or the @domain of a line.
func (l *List) add(line []byte) error {
	var k addresses.Key
	err := k.ParseItem(line)
	if err == nil {
		_, err = l.keys.Add(k.Bytes())
	}
	if err != nil {
		return fmt.Errorf("%.80q %w", line, err)
	}
	return nil
}

// Count returns the number of addresses and domains.
func (l *List) Count() int { return l.keys.Len() }

// Within reports whether an address or a domain of the list is in a domain that accepts
// takes.
func (l *List) Within(accepts func(domain []byte) bool) bool {
	for k := range l.keys.All() {
		if accepts(k[bytes.LastIndexByte(k, '@')+1:]) {
			return true
		}
	}
	return false
}

// Sum returns the SHA-256 of the text that the list was read from.
func (l *List) Sum() linefile.Digest { return l.sum }

// Has reports whether the address of a local part and a domain, both as in a path, is in
// the list: by itself, without what follows a delimiter in the local part, or by its
// domain. A delimiter of 0 is none.
func (l *List) Has(local, domain []byte, delimiter byte) bool {
	var k addresses.Key
	if !k.Set(local, domain) {
		return false
	}
	return l.keys.Has(k.Bytes()) || k.Cut(delimiter) && l.keys.Has(k.Bytes()) || l.keys.Has(k.Domain())
}

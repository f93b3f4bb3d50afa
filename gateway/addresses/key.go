// Package addresses compares addresses of mail and holds large sets of them. Lookups take no
// lock and do not allocate, so that event loops may make them.
package addresses

import (
	"bytes"
	"errors"

	"sluice/codec"
)

// Max is the longest address in bytes: a path has at most 256 with its brackets (RFC 5321
// §4.5.3.1.3).
const Max = 254

// Key is an address in the form in which addresses are compared: in lower case, and the
// local part without the quotes and backslashes of a quoted string (RFC 5321 §4.1.2). The
// last @ in it begins the domain. A key without a local part stands for the whole domain.
type Key struct {
	text  [Max]byte
	local int // length of the local part
	end   int
}

// ErrNoAddress is the error of a text that is neither an address nor a domain.
var ErrNoAddress = errors.New("is neither an address (user@example.com) nor a domain (@example.com)")

// Parse sets the key to that of an address. It reports whether the text is one; if it is
// not, the key may be any.
func (k *Key) Parse(text []byte) bool {
	if bytes.HasSuffix(text, []byte(">")) { // that of VRFY may be: Somebody <user@example.com>
		return false
	}
	return k.parse(text)
}

func (k *Key) parse(text []byte) bool {
	path, fault := codec.ParseVrfy(text)
	return fault == codec.FaultNone && path.Kind == codec.PathMailbox && k.Set(path.Local, path.Domain)
}

// ParseItem sets the key to that of an item of a list: an address, perhaps in angle brackets,
// or a whole domain, which is written as @example.com. After an error the key may be any.
func (k *Key) ParseItem(text []byte) error {
	whole := bytes.HasPrefix(text, []byte("@"))
	if whole {
		text = append([]byte("any"), text...)
	}
	switch {
	case !k.parse(text):
		return ErrNoAddress
	case whole:
		k.end, k.local = copy(k.text[:], k.Domain()), 0
	case k.local == 0: // "" in quotes: its key would be that of the whole domain
		return ErrNoAddress
	}
	return nil
}

// Set sets the key to that of a local part and a domain, both as in a path. It reports
// whether the address is not too long; if it is, the key stays as it was.
func (k *Key) Set(local, domain []byte) bool {
	if len(local)+1+len(domain) > Max {
		return false
	}
	k.end = 0
	if len(local) > 1 && local[0] == '"' {
		for i := 1; i < len(local)-1; i++ {
			if local[i] == '\\' {
				i++
			}
			k.push(local[i])
		}
	} else {
		for _, c := range local {
			k.push(c)
		}
	}
	k.local = k.end
	k.push('@')
	for _, c := range domain {
		k.push(c)
	}
	return true
}

func (k *Key) push(c byte) {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	k.text[k.end] = c
	k.end++
}

// Bytes returns the key of the address.
func (k *Key) Bytes() []byte { return k.text[:k.end] }

// Domain returns the key of the whole domain.
func (k *Key) Domain() []byte { return k.text[k.local:k.end] }

// Cut removes what follows a delimiter in the local part, from the delimiter on. It
// reports whether something was removed. A delimiter that begins the local part does not
// count.
func (k *Key) Cut(delimiter byte) bool {
	if delimiter == 0 {
		return false
	}
	i := bytes.IndexByte(k.text[:k.local], delimiter)
	if i <= 0 {
		return false
	}
	k.end = i + copy(k.text[i:], k.text[k.local:k.end])
	k.local = i
	return true
}

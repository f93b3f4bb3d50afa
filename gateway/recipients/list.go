// Package recipients holds the list of addresses that exist in the accepted domains. It
// reads the list from a file and answers on event loops, without a lock or an allocation.
package recipients

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"syscall"

	"sluice/codec"
)

// List is an immutable set of addresses and of whole domains. Local parts and domains are
// compared without case.
//
// The addresses stand one behind the other in blocks, each after a byte with its length.
// The table holds their places, so that an address costs its text, one byte and about
// eight bytes of the table.
type List struct {
	seed   maphash.Seed
	blocks [][]byte
	table  []place // a power of two, at most three quarters full
	count  int
	sum    [sha256.Size]byte
}

// place is where an address stands: block number times blockSize plus offset plus 1, or 0
// for none.
type place uint32

const (
	blockSize = 256 << 10
	maxCount  = 1 << 31 / 32 // keeps every place within 32 bits
	// maxAddress is the longest address in bytes, which its length byte can tell: a path
	// has at most 256 with its brackets (RFC 5321 §4.5.3.1.3).
	maxAddress = 254
	// maxLine bounds a line of the file in bytes, and maxSize the file: 25 million addresses
	// of 40 bytes. It keeps every place within 32 bits, as maxCount does.
	maxLine = 4 << 10
	maxSize = 1 << 30
)

// Load returns the list in a file. What is no regular file is refused: to read a pipe or a
// device could take for ever. So is a file that is written meanwhile.
func Load(name string) (*List, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // to open it may have effects
		return nil, fmt.Errorf("%s: %w", name, errNotRegular)
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	list, err := load(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func load(file *os.File) (*List, error) {
	before, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !before.Mode().IsRegular():
		return nil, errNotRegular
	case before.Size() > maxSize:
		return nil, errTooLarge
	}
	list, err := Read(file)
	if err != nil {
		return nil, err
	}
	after, err := file.Stat()
	if err == nil && (!after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size()) {
		err = errChanged
	}
	return list, err
}

var (
	// ErrEmpty is the error of a file without an address. Such a list would refuse all mail.
	ErrEmpty      = errors.New("no address in it")
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = errors.New("larger than 1GiB")
	errChanged    = errors.New("it was written while it was read: replace it by a rename")
)

// Read reads a list: an address in each line, or @domain for all addresses of a domain.
// Empty lines and lines that begin with # do not count. A line that is neither is an
// error, because a list that was cut would refuse mail for good.
func Read(r io.Reader) (*List, error) { return read(r, maxSize) }

func read(r io.Reader, most int64) (*List, error) {
	l := &List{seed: maphash.MakeSeed(), table: make([]place, 1<<10)}
	sum, rest := sha256.New(), &io.LimitedReader{R: r, N: most + 1}
	err := l.addLines(io.TeeReader(rest, sum))
	switch {
	case rest.N <= 0:
		return nil, errTooLarge
	case err != nil:
		return nil, err
	case l.count == 0:
		return nil, ErrEmpty
	}
	sum.Sum(l.sum[:0])
	return l, nil
}

// addLines adds the addresses and domains of all lines.
func (l *List) addLines(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := l.add(line); err != nil {
			return fmt.Errorf("line %d: %.80q %w", number, line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", number+1, err)
	}
	return nil
}

var (
	errNoAddress = errors.New("is neither an address (user@example.com) nor a domain (@example.com)")
	errTooMany   = fmt.Errorf("is one address too many: %d is the most", maxCount)
)

// add adds the address or the @domain of a line.
func (l *List) add(line []byte) error {
	address, whole := line, line[0] == '@'
	if whole {
		address = append([]byte("any"), line...)
	}
	path, fault := codec.ParseVrfy(address)
	var k key
	switch {
	case fault != codec.FaultNone || path.Kind != codec.PathMailbox || !k.set(path.Local, path.Domain):
		return errNoAddress
	case whole:
		return l.insert(k.domain())
	case k.local == 0: // "" in quotes: its key would be that of the whole domain
		return errNoAddress
	}
	return l.insert(k.bytes())
}

// Count returns the number of addresses and domains.
func (l *List) Count() int { return l.count }

// Within reports whether an address or a domain of the list is in a domain that accepts
// takes.
func (l *List) Within(accepts func(domain []byte) bool) bool {
	for _, block := range l.blocks {
		for len(block) > 0 {
			k := block[1 : 1+int(block[0])]
			if accepts(k[bytes.LastIndexByte(k, '@')+1:]) {
				return true
			}
			block = block[1+len(k):]
		}
	}
	return false
}

// Sum returns the SHA-256 of the text that the list was read from.
func (l *List) Sum() [sha256.Size]byte { return l.sum }

// Has reports whether the address of a local part and a domain, both as in a path, is in
// the list: by itself, without what follows a delimiter in the local part, or by its
// domain. A delimiter of 0 is none.
func (l *List) Has(local, domain []byte, delimiter byte) bool {
	var k key
	if !k.set(local, domain) {
		return false
	}
	return l.find(k.bytes()) || k.cut(delimiter) && l.find(k.bytes()) || l.find(k.domain())
}

// find reports whether a key is in the list.
func (l *List) find(k []byte) bool { return l.table[l.slot(k)] != 0 }

// slot returns the index in the table of a key, or of the free place where it belongs.
func (l *List) slot(k []byte) uint64 {
	mask := uint64(len(l.table) - 1)
	i := maphash.Bytes(l.seed, k) & mask
	for l.table[i] != 0 && !bytes.Equal(l.at(l.table[i]), k) {
		i = (i + 1) & mask
	}
	return i
}

// at returns the key at a place.
func (l *List) at(p place) []byte {
	block := l.blocks[(p-1)/blockSize][(p-1)%blockSize:]
	return block[1 : 1+int(block[0])]
}

func (l *List) insert(k []byte) error {
	i := l.slot(k)
	if l.table[i] != 0 {
		return nil
	}
	if l.count == maxCount {
		return errTooMany
	}
	last := len(l.blocks) - 1
	if last < 0 || len(l.blocks[last])+1+len(k) > blockSize {
		l.blocks = append(l.blocks, make([]byte, 0, blockSize))
		last++
	}
	l.table[i] = place(last*blockSize + len(l.blocks[last]) + 1)
	l.blocks[last] = append(append(l.blocks[last], byte(len(k))), k...)
	if l.count++; l.count > len(l.table)/4*3 {
		l.grow()
	}
	return nil
}

// grow doubles the table.
func (l *List) grow() {
	old := l.table
	l.table = make([]place, 2*len(old))
	for _, p := range old {
		if p != 0 {
			l.table[l.slot(l.at(p))] = p
		}
	}
}

// Package linefile reads files of lines that operators write: lists of addresses, of users,
// of senders. It says in which line something is wrong. A secret is the one line of its file.
package linefile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Format is what a file has to be like.
type Format struct {
	MaxFile int64 // the most bytes of the file
	MaxLine int   // and of a line
	Empty   error // the error of a file without a line that counts
}

// Digest is the SHA-256 of the text of a file.
type Digest = [sha256.Size]byte

// Source is where lines come from.
type Source struct {
	name string
	r    io.Reader // in place of a file
}

// File returns the source of the lines of a file.
func File(name string) Source { return Source{name: name} }

// Text returns the source of the lines of a text.
func Text(r io.Reader) Source { return Source{r: r} }

// Read calls each with every line, without white space around it, and returns the digest of
// the whole text. Empty lines and lines that begin with # do not count. A line is valid
// during the call. An error names the file, and that of each also the number of the line.
//
// What is no regular file is refused: to read a pipe or a device could take for ever. So is
// a file that is written meanwhile.
func (s Source) Read(f Format, each func(line []byte) error) (Digest, error) {
	if s.r != nil {
		return scan(s.r, f, each)
	}
	var sum Digest
	err := readRegular(s.name, f.MaxFile, func(file io.Reader) (err error) {
		sum, err = scan(file, f, each)
		return err
	})
	return sum, err
}

var (
	errNotRegular = errors.New("not a regular file")
	errChanged    = errors.New("it was written while it was read: replace it by a rename")
)

// readRegular calls read with a regular file of at most so many bytes. An error names it.
func readRegular(name string, most int64, read func(io.Reader) error) error {
	err := tryRegular(name, most, read)
	if _, named := errors.AsType[*fs.PathError](err); err != nil && !named {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return err
}

func tryRegular(name string, most int64, read func(io.Reader) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // to open it may have effects
		return errNotRegular
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !before.Mode().IsRegular():
		return errNotRegular
	case before.Size() > most:
		return errTooLarge(most)
	}
	if err := read(file); err != nil {
		return err
	}
	after, err := file.Stat()
	if err == nil && (!after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size()) {
		err = errChanged
	}
	return err
}

// errTooLarge is the error of a file of more than so many bytes.
type errTooLarge int64

func (e errTooLarge) Error() string {
	switch {
	case e >= 1<<30:
		return fmt.Sprintf("larger than %dGiB", e>>30)
	case e >= 1<<20:
		return fmt.Sprintf("larger than %dMiB", e>>20)
	}
	return fmt.Sprintf("larger than %dKiB", e>>10)
}

// byteOrderMark begins a file that some editors have saved.
var byteOrderMark = []byte("\xef\xbb\xbf")

// scan reads all lines of a text.
func scan(r io.Reader, f Format, each func(line []byte) error) (Digest, error) {
	sum, rest := sha256.New(), &io.LimitedReader{R: r, N: f.MaxFile + 1}
	count := 0
	err := number(io.TeeReader(rest, sum), f.MaxLine, func(line []byte) error {
		count++
		return each(line)
	})
	switch {
	case rest.N <= 0:
		return Digest{}, errTooLarge(f.MaxFile)
	case err == nil && count == 0:
		return Digest{}, f.Empty
	}
	return Digest(sum.Sum(nil)), err
}

// number calls each with every line that counts, and adds the line's number to its error.
func number(r io.Reader, longest int, each func(line []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longest)
	at := 0
	for lines.Scan() {
		line := lines.Bytes()
		if at++; at == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("longer than %d bytes", longest)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", at+1, err)
	}
	return nil
}

package static

import (
	"bytes"
	"errors"
	"fmt"

	"sluice/gateway/identity"
	"sluice/gateway/linefile"
)

// Users are immutable: who may come, and the hash of each password.
type Users struct {
	hashes map[string]*hash // by the name in lower case
	works  map[work]int     // how many hashes take it
	usual  *hash            // one that takes the work of most
	memory int64
	sum    linefile.Digest
}

// format is that of the file: it has room for half a million users.
var format = linefile.Format{MaxFile: 64 << 20, MaxLine: 4 << 10, Empty: errors.New("no user in it")}

// Read returns the users in a file: a name, a colon and a hash in each line. Empty lines and
// lines that begin with # do not count. A name is in upper or lower case and has no colon. A
// hash is an argon2id in PHC form or a bcrypt. An error says in which line it is, and
// nothing of the hash.
func Read(path string) (*Users, error) { return read(linefile.File(path)) }

func read(from linefile.Source) (*Users, error) {
	u := &Users{hashes: make(map[string]*hash), works: make(map[work]int)}
	var err error
	if u.sum, err = from.Read(format, u.add); err != nil {
		return nil, err
	}
	return u, nil
}

// What is wrong with a line. It is not quoted, as it may have a password.
var (
	errColon = errors.New("has no colon between a user and a hash")
	errUser  = fmt.Errorf("its user is empty, longer than %d bytes, no UTF-8, or has control characters", identity.MaxUser)
)

// add adds the user of a line.
func (u *Users) add(line []byte) error {
	user, text, found := bytes.Cut(line, []byte(":"))
	user = bytes.TrimSpace(user)
	switch {
	case !found:
		return errColon
	case !identity.IsName(string(user)):
		return errUser
	}
	h, err := parseHash(string(bytes.TrimSpace(text)))
	if err != nil {
		return err
	}
	name := identity.Fold(string(user))
	if u.hashes[name] != nil {
		return fmt.Errorf("%q stands in an earlier line, too", name)
	}
	u.hashes[name] = h
	u.memory = max(u.memory, h.bytes())
	if u.works[h.work]++; u.usual == nil || u.works[h.work] > u.works[u.usual.work] {
		u.usual = h
	}
	return nil
}

// Count returns the number of users.
func (u *Users) Count() int { return len(u.hashes) }

// Sum returns the SHA-256 of the text that the users were read from.
func (u *Users) Sum() linefile.Digest { return u.sum }

// Memory returns the most bytes that one hash takes while it is computed. They are garbage
// then.
func (u *Users) Memory() int64 { return u.memory }

// Uniform reports whether all hashes take the same work. If they do not, an unknown user
// takes that of most. Then time tells who is a user among those whose hash takes another.
func (u *Users) Uniform() bool { return len(u.works) == 1 }

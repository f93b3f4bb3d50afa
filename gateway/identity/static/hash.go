package static

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// What one hash may take: memory, and about a second of a processor, since nothing ends it
// before it is done.
const (
	maxMemory  = 256 << 10 // KiB
	maxWork    = 1 << 20   // KiB, each of them as often as there are passes
	maxThreads = 16
	maxCost    = 14 // bcrypt; each more doubles its time
)

// work is what a hash takes: an argon2id if it has passes, else a bcrypt.
type work struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
	cost    uint8 // of bcrypt: a logarithm to base 2
}

// bytes returns the memory that a hash takes while it is computed.
func (w work) bytes() int64 {
	if w.passes == 0 {
		return 8 << 10 // Blowfish's boxes, twice
	}
	return int64(w.memory)<<10 + 64<<10
}

// hash is the hash of a password.
type hash struct {
	work
	salt, sum []byte // argon2id
	text      []byte // bcrypt
}

// matches reports whether the hash is that of a password. Its time depends on the work and
// hardly on anything else.
func (h *hash) matches(secret []byte) bool {
	if h.passes == 0 {
		return bcrypt.CompareHashAndPassword(h.text, secret) == nil
	}
	sum := argon2.IDKey(secret, h.salt, h.passes, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

// recommended are the least parameters that OWASP names for argon2id.
var recommended = work{memory: 19 << 10, passes: 2, threads: 1}

// phc is the base64 of argon2's PHC strings: without padding, and one text for one value.
var phc = base64.RawStdEncoding.Strict()

// Hash returns a new hash of a password: argon2id with 19 MiB and two passes, in PHC form.
func Hash(secret []byte) string {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // it never fails: without random numbers it ends the process
	w := recommended
	sum := argon2.IDKey(secret, salt[:], w.passes, w.memory, w.threads, 32)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, w.memory, w.passes, w.threads,
		phc.EncodeToString(salt[:]), phc.EncodeToString(sum))
}

var (
	argonForm  = regexp.MustCompile(`^\$argon2id\$(?:v=([0-9]{1,9})\$)?m=([0-9]{1,9}),t=([0-9]{1,9}),p=([0-9]{1,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`)
	bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{22}([./A-Za-z0-9]{31})$`)
	// bcrypt's own base64. Of a salt the bits behind its end do not count.
	bcryptBase64 = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").
			WithPadding(base64.NoPadding).Strict()
)

// What is wrong with a hash. The hash itself is no text for a log, and may be a password.
var (
	errForm = errors.New("its hash is neither an argon2id ($argon2id$v=19$m=19456,t=2,p=1$…) nor a bcrypt ($2b$12$…): " +
		"sluice hash-password makes one")
	errVersion = errors.New("its hash is of another version of argon2 than v=19")
	errCut     = errors.New("its hash is cut or damaged")
	errSalt    = errors.New("its hash has a salt of fewer than 8 or more than 64 bytes")
	errSum     = errors.New("its hash has fewer than 16 or more than 64 bytes")
	errThreads = fmt.Errorf("its hash has p=0, or more than p=%d", maxThreads)
	errMemory  = fmt.Errorf("its hash takes less memory than m=8 for each of its p, or more than m=%d (256MiB)", maxMemory)
	errPasses  = fmt.Errorf("its hash has t=0, or takes too long: m times t is more than %d (1GiB)", maxWork)
	errCost    = fmt.Errorf("its hash has a cost of less than %d, or takes too long with one of more than %d", bcrypt.MinCost, maxCost)
)

// parseHash returns the hash that a text is.
func parseHash(text string) (*hash, error) {
	if m := argonForm.FindStringSubmatch(text); m != nil {
		return parseArgon(m[1:])
	}
	if m := bcryptForm.FindStringSubmatch(text); m != nil {
		return parseBcrypt(text, m[1], m[2])
	}
	if strings.HasPrefix(text, "$argon2id$") || strings.HasPrefix(text, "$2") {
		return nil, errCut
	}
	return nil, errForm
}

// parseArgon returns the hash of version, memory, passes, threads, salt and sum.
func parseArgon(fields []string) (*hash, error) {
	number := func(i int) uint32 {
		n, _ := strconv.ParseUint(fields[i], 10, 32) // nine digits at most
		return uint32(n)
	}
	memory, passes, threads := number(1), number(2), number(3)
	salt, saltErr := phc.DecodeString(fields[4])
	sum, sumErr := phc.DecodeString(fields[5])
	switch {
	case fields[0] != strconv.Itoa(argon2.Version):
		return nil, errVersion
	case threads < 1 || threads > maxThreads:
		return nil, errThreads
	case memory < 8*threads || memory > maxMemory: // RFC 9106 §3.1
		return nil, errMemory
	case passes < 1 || uint64(memory)*uint64(passes) > maxWork:
		return nil, errPasses
	case saltErr != nil || sumErr != nil:
		return nil, errCut
	case len(salt) < 8 || len(salt) > 64:
		return nil, errSalt
	case len(sum) < 16 || len(sum) > 64:
		return nil, errSum
	}
	w := work{memory: memory, passes: passes, threads: uint8(threads)}
	return &hash{work: w, salt: salt, sum: sum}, nil
}

// parseBcrypt returns the hash of a text with a cost and a sum.
func parseBcrypt(text, cost, sum string) (*hash, error) {
	if _, err := bcryptBase64.DecodeString(sum); err != nil {
		return nil, errCut
	}
	n, _ := strconv.ParseUint(cost, 10, 8) // two digits
	if n < uint64(bcrypt.MinCost) || n > maxCost {
		return nil, errCost
	}
	return &hash{work: work{cost: uint8(n)}, text: []byte(text)}, nil
}

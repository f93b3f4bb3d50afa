package certificates

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// Bounds of the keys of session tickets. Each ticket that comes is tried with all keys.
const (
	leastTicketKey = 32 // bytes
	maxTicketKeys  = 16
)

// parseTickets makes p the ticket keys in the text of its file: one in each line, in
// hexadecimal or base64. Empty lines and lines that begin with # do not count. Errors name
// lines and do not quote them.
func (p *part) parseTickets(texts [][]byte) *Fault {
	number := 0
	for line := range bytes.Lines(texts[0]) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key := decodeTicketKey(line)
		switch {
		case key == nil:
			return p.fault(0, resultInvalid, fmt.Errorf("has no key in line %d: a key is written in base64 or hexadecimal (openssl rand -base64 32)", number))
		case len(key) < leastTicketKey:
			return p.fault(0, resultInvalid, fmt.Errorf("has a key of %d bytes in line %d: at least %d are needed (openssl rand -base64 32)", len(key), number, leastTicketKey))
		case len(p.tickets) == maxTicketKeys:
			return p.fault(0, resultInvalid, fmt.Errorf("has more than %d keys", maxTicketKeys))
		}
		p.tickets = append(p.tickets, sha256.Sum256(key)) // of any length to the one that crypto/tls takes
	}
	if len(p.tickets) == 0 {
		return p.fault(0, resultInvalid, errors.New("has no key (openssl rand -base64 32)"))
	}
	return nil
}

// decodeTicketKey returns the key of a line, nil if it is none. Of 64 and more hexadecimal
// digits nobody means base64.
func decodeTicketKey(line []byte) []byte {
	key := make([]byte, len(line))
	if n, err := hex.Decode(key, line); err == nil {
		return key[:n]
	}
	n, err := base64.RawStdEncoding.Decode(key, bytes.TrimRight(line, "="))
	if err != nil {
		return nil
	}
	return key[:n]
}

// Package rawtls is a client of TLS 1.3 behind its handshake that seals what it likes, for
// tests and load that break the rules.
package rawtls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// Types of records (RFC 8446 §5.1).
const (
	TypeAlert       = 21
	TypeHandshake   = 22
	TypeApplication = 23
)

// Client has the keys by which a client seals.
type Client struct {
	aead   cipher.AEAD
	iv     []byte
	secret []byte
	seq    uint64
}

// errNoSecret is the error of a handshake with another cipher.
var errNoSecret = errors.New("no secret of TLS_AES_128_GCM_SHA256 was logged: does this processor have AES?")

// New returns a client as it is behind a handshake with TLS_AES_128_GCM_SHA256, of which
// crypto/tls has written keyLog (tls.Config.KeyLogWriter).
func New(keyLog string) (*Client, error) {
	for line := range strings.Lines(keyLog) {
		field := strings.Fields(line)
		if len(field) != 3 || field[0] != "CLIENT_TRAFFIC_SECRET_0" {
			continue
		}
		secret, err := hex.DecodeString(field[2])
		if err != nil {
			return nil, err
		}
		if len(secret) == sha256.Size {
			c := &Client{}
			c.take(secret)
			return c, nil
		}
	}
	return nil, errNoSecret
}

// take takes the keys of a secret (RFC 8446 §7.3).
func (c *Client) take(secret []byte) {
	block, err := aes.NewCipher(expand(secret, "key", 16))
	if err == nil {
		c.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		panic(err) // the key has the right length
	}
	c.iv, c.secret, c.seq = expand(secret, "iv", 12), secret, 0
}

// Rekey takes the next keys, as a KeyUpdate announces them (RFC 8446 §7.2).
func (c *Client) Rekey() { c.take(expand(c.secret, "traffic upd", sha256.Size)) }

// KeyUpdate returns a record with a KeyUpdate, behind which the next keys are in use.
func (c *Client) KeyUpdate(requested bool) []byte {
	message := []byte{24, 0, 0, 1, 0}
	if requested {
		message[4] = 1
	}
	defer c.Rekey()
	return c.Seal(TypeHandshake, message, 0)
}

func expand(secret []byte, label string, n int) []byte {
	info := []byte{byte(n >> 8), byte(n), byte(6 + len(label))}
	info = append(append(info, "tls13 "+label...), 0)
	key, err := hkdf.Expand(sha256.New, secret, string(info), n)
	if err != nil {
		panic(err) // n is not too large
	}
	return key
}

// Seal returns a record of a type with padding.
func (c *Client) Seal(kind byte, content []byte, padding int) []byte {
	inner := append(append(bytes.Clone(content), kind), make([]byte, padding)...)
	header := []byte{TypeApplication, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+c.aead.Overhead()))
	nonce := bytes.Clone(c.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(c.seq >> (56 - 8*i))
	}
	c.seq++
	return c.aead.Seal(header, nonce, inner, header)
}

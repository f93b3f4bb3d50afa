package tlscodec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// attacker12 has the keys of a TLS 1.2 client and seals what it likes.
type attacker12 struct {
	aead cipher.AEAD
	iv   []byte
	seq  uint64
}

// zeros is the random of a server whose keys are to be known.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// attack12 returns a server after its handshake in TLS 1.2, and who attacks it.
func attack12(t testing.TB) (*pair, *attacker12) {
	t.Helper()
	var log bytes.Buffer
	ours, theirs := serverConfig(testkit.ECDSAPair()), clientConfig(tls.VersionTLS12)
	ours.MaxVersion, ours.Rand = tls.VersionTLS12, zeros{}
	theirs.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	theirs.KeyLogWriter = &log
	p := shaken(t, ours, theirs)
	field := strings.Fields(log.String()) // CLIENT_RANDOM, the client's random, the master secret
	client, err := hex.DecodeString(field[1])
	if err != nil {
		t.Fatal(err)
	}
	master, err := hex.DecodeString(field[2])
	if err != nil {
		t.Fatal(err)
	}
	keys := prf(master, append(append([]byte("key expansion"), make([]byte, 32)...), client...), 40)
	block, err := aes.NewCipher(keys[:16])
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker12{iv: keys[32:36], seq: 1} // Finished was the first record
	if a.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	return p, a
}

// prf is the pseudorandom function of TLS 1.2 (RFC 5246 §5).
func prf(secret, seed []byte, n int) (out []byte) {
	hash := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, part := range parts {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	for a := hash(seed); len(out) < n; a = hash(a) {
		out = append(out, hash(a, seed)...)
	}
	return out[:n]
}

// seal returns a record of a type (RFC 5288 §3).
func (a *attacker12) seal(kind byte, content []byte) []byte {
	explicit := binary.BigEndian.AppendUint64(nil, a.seq)
	header := []byte{kind, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(content)))
	sealed := a.aead.Seal(explicit, append(bytes.Clone(a.iv), explicit...), content, append(bytes.Clone(explicit), header...))
	binary.BigEndian.PutUint16(header[3:], uint16(len(sealed)))
	a.seq++
	return append(header, sealed...)
}

// TestFloods12 sends records behind the handshake in TLS 1.2 that bring no text, and asks
// for another handshake.
func TestFloods12(t *testing.T) {
	for what, flooding := range map[string]struct {
		most   int // records that may be taken
		record func(a *attacker12) []byte
	}{
		"empty":        {16, func(a *attacker12) []byte { return a.seal(typeApplication, nil) }},
		"warnings":     {16, func(a *attacker12) []byte { return a.seal(typeAlert, []byte{1, 90}) }},
		"HelloRequest": {0, func(a *attacker12) []byte { return a.seal(typeHandshake, []byte{0, 0, 0, 0}) }},
		"a ClientHello": {0, func(a *attacker12) []byte {
			return a.seal(typeHandshake, clientHello(t, clientConfig(tls.VersionTLS12))[headerLen:])
		}},
		"half a message":     {maxUnpaid, func(a *attacker12) []byte { return a.seal(typeHandshake, []byte{0}) }},
		"change_cipher_spec": {0, func(a *attacker12) []byte { return a.seal(20, []byte{1}) }},
	} {
		t.Run(what, func(t *testing.T) {
			p, a := attack12(t)
			if text, err := p.server.Open(nil, a.seal(typeApplication, []byte("NOOP"))); string(text) != "NOOP" || err != nil {
				t.Fatalf("got %q, %v: the keys are wrong", text, err)
			}
			taken, err := flood(t, p.server, func() []byte { return flooding.record(a) })
			if taken > flooding.most || errors.Is(err, io.EOF) {
				t.Errorf("%d records were taken, then %v", taken, err)
			}
			if _, again := p.server.Open(nil, a.seal(typeApplication, []byte("NOOP"))); !errors.Is(again, err) {
				t.Errorf("first %v, then %v", err, again)
			}
			if pending := p.server.Flush(nil); len(pending) > 64 {
				t.Errorf("%d octets are to be sent", len(pending))
			}
		})
	}
}

package linefile

import (
	"bytes"
	"errors"
	"io"
)

// maxSecret is the most bytes of a file with a secret.
const maxSecret = 4 << 10

var errSecret = errors.New("not one line with a secret")

// ReadSecret returns the one line of a file, without its end. Whoever asks for it wipes it.
// An error names the file, and has nothing of what is in it.
//
// As with Read, what is no regular file is refused, and so is one that is written meanwhile:
// half of a password would count as a wrong one.
func ReadSecret(name string) ([]byte, error) {
	content, secret := make([]byte, maxSecret), []byte(nil)
	err := readRegular(name, maxSecret, func(file io.Reader) error {
		n, err := io.ReadFull(file, content)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		secret = bytes.TrimSuffix(bytes.TrimSuffix(content[:n], []byte("\n")), []byte("\r"))
		if len(secret) == 0 || bytes.ContainsAny(secret, "\r\n\x00") {
			return errSecret
		}
		return nil
	})
	if err != nil {
		clear(content)
		return nil, err
	}
	return secret, nil
}

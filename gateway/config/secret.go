package config

import (
	"errors"
	"log/slog"
	"strings"
)

const (
	redacted = "[redacted]"
	// fileSuffix makes a secret's key the key of a file that holds the secret.
	fileSuffix = "_file"
	// maxSecret bounds the size of a secret's file: a wrong path may be that of a device
	// or a mailbox.
	maxSecret = 64 << 10
)

// Secret is a value that is never shown: every way of printing it yields [redacted]. In
// addition to its key <key> there is <key>_file, which names a file to read the secret
// from. So it need not be in the environment or in the configuration file.
type Secret struct {
	plain string
	file  string // it was read from, "" for none
}

// NewSecret returns a secret that was not read from a file.
func NewSecret(plain string) Secret { return Secret{plain: plain} }

// Reveal returns the secret itself, for the client that needs it.
func (s Secret) Reveal() string { return s.plain }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s.plain == "" {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, for JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var errUnprintable = errors.New("the file holds more than one line of printable characters")

// readSecretFile reads a secret from a file. One line end at the end of the file does not
// belong to it, because editors and echo add one.
func readSecretFile(path string) (Secret, error) {
	content, err := readUpTo(path, maxSecret)
	if err != nil {
		return Secret{}, err
	}
	if len(content) > maxSecret {
		return Secret{}, errors.New("the file is longer than 64KiB")
	}
	plain := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if plain == "" {
		return Secret{}, errors.New("the file is empty")
	}
	return Secret{plain: plain, file: path}, nil
}

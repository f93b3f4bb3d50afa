package certificates

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// maxFile bounds a file in bytes: a wrong path may be that of a device or a mailbox. The
// certificates of all public authorities take a quarter of it.
const maxFile = 1 << 20

// readFile returns the content of a regular file, and its permissions.
func readFile(path string) ([]byte, fs.FileMode, error) {
	// Without O_NONBLOCK the opening of a pipe would wait for somebody who writes to it.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, reason(err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, 0, reason(err)
	case info.IsDir():
		return nil, 0, errors.New("is a folder, not a file")
	case !info.Mode().IsRegular():
		return nil, 0, errors.New("is not a regular file")
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, 0, reason(err)
	case len(content) > maxFile:
		return nil, 0, errors.New("is longer than 1MiB")
	}
	return content, info.Mode().Perm(), nil
}

// reason returns an error of the file system without the path, which stands before it.
func reason(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot be read by the user with id %d: %w", os.Geteuid(), err)
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// pemBlocks returns the PEM blocks of a text in their order. Other text around them does
// not count: openssl writes some. A block that is cut or damaged is an error, which
// encoding/pem passes over.
func pemBlocks(text []byte) ([]*pem.Block, error) {
	var all []*pem.Block
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		all = append(all, block)
	}
	switch begun := bytes.Count(text, []byte("-----BEGIN ")); {
	case len(text) == 0:
		return nil, errors.New("is empty")
	case begun == 0:
		return nil, errors.New("has no PEM block (-----BEGIN …); openssl x509 and openssl pkey turn DER into PEM, openssl pkcs12 PKCS#12")
	case begun != len(all):
		return nil, errors.New("has a PEM block that is cut or damaged; was it written to its end?")
	}
	return all, nil
}

// isKey reports whether a block holds a private key, encrypted or not.
func isKey(b *pem.Block) bool { return strings.HasSuffix(b.Type, "PRIVATE KEY") }

// isEncrypted reports whether a private key needs a passphrase, by PKCS #8 or by RFC 1421.
func isEncrypted(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}

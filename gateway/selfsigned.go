package main

import (
	"errors"
	"fmt"
	"io/fs"

	"sluice/gateway/certificates"
)

// selfSigned writes a certificate that vouches for itself, and says what to do with it.
func (a app) selfSigned(folder string, names []string, replace bool) error {
	pair, cert, err := certificates.SelfSigned(folder, names, replace)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w; --replace writes another", err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s and %s are valid until %s.\nTLSA record for DANE: %s\n",
		pair.CertFile, pair.KeyFile, cert.NotAfter.UTC().Format("2006-01-02"), certificates.TLSA(cert))
	return err
}

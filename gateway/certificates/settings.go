// Package certificates holds what TLS is served with: certificates with their keys, the
// authorities of clients, and the keys of session tickets. It reads them from files, reads
// them anew when the files change, and keeps what it has while a file is bad.
package certificates

import "crypto/tls"

// Settings name the files and say what clients must offer.
type Settings struct {
	Pairs        []Pair
	MinVersion   string // a key of Versions
	ClientAuth   string // ClientAuthNone, ClientAuthRequest or ClientAuthRequire
	ClientCAFile string // "" for no authorities
	TicketsFile  string // "" for keys that the process makes and changes by itself
}

// Pair names the files of a certificate and of its key, both in PEM. They may be the same.
type Pair struct{ CertFile, KeyFile string }

// Whether clients are asked for a certificate.
const (
	ClientAuthNone    = "none"
	ClientAuthRequest = "request" // the handshake succeeds whatever they send
	ClientAuthRequire = "require" // it fails without one that an authority of ClientCAFile vouches for
)

// Versions maps the versions that MinVersion may name to their numbers.
var Versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// Fault is what is wrong with a file.
type Fault struct {
	Key    string // of the settings, such as certificates[0].key_file
	File   string
	Result string // of the reload that it ended, for metrics
	Text   string // never quotes the file
}

// Error implements error.
func (f *Fault) Error() string { return f.File + " " + f.Text }

// Results of reading files anew, as metrics label them.
const (
	resultOK         = "ok"
	resultUnreadable = "unreadable" // missing, not allowed, or no file of this kind
	resultInvalid    = "invalid"    // read, and not what it should be
	resultMismatched = "mismatched" // the key is not that of the certificate
	resultRestless   = "restless"   // never as the look before found it
)

// Results returns every result of reading files anew.
func Results() []string {
	return []string{resultOK, resultUnreadable, resultInvalid, resultMismatched, resultRestless}
}

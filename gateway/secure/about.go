package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"

	"sluice/pipeline"
)

// maxName bounds the bytes of a name that a client chose, as the event has it.
const maxName = 255

// versions are the names of versions of TLS in events and metrics, as PROXY headers and
// Postfix have them.
var versions = map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}

// Versions returns every name of a version.
func Versions() []string { return []string{versions[tls.VersionTLS12], versions[tls.VersionTLS13]} }

// about returns what was agreed in a handshake.
func (p *Pool) about(state tls.ConnectionState) *pipeline.TLS {
	about := &pipeline.TLS{
		Version: versions[state.Version], Cipher: tls.CipherSuiteName(state.CipherSuite),
		Resumed: state.DidResume, SNI: bounded(state.ServerName),
	}
	if state.CurveID != 0 {
		about.Group = state.CurveID.String()
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		digest := sha256.Sum256(leaf.Raw)
		about.Certificate = &pipeline.ClientCertificate{
			Subject: bounded(leaf.Subject.String()), SHA256: hex.EncodeToString(digest[:]),
			Verified: p.options.Trusts != nil && p.options.Trusts(&state),
		}
	}
	return about
}

// bounded returns the first bytes of a text that a client chose.
func bounded(text string) string { return text[:min(len(text), maxName)] }

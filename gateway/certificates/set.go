package certificates

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Set is what TLS is served with at a moment. It is immutable. The zero Set has no
// certificate.
type Set struct {
	settings Settings
	parts    []*part
	all      []*tls.Certificate
	named    map[string][]*tls.Certificate // by the names of certificates, in lower case
	clients  *x509.CertPool                // nil for no authorities
	config   *tls.Config                   // nil without a certificate
}

// part is what is read together from one file, or from the two of a pair.
type part struct {
	files []file
	parse func(p *part, texts [][]byte) *Fault
	sum   [sha256.Size]byte // of what was read

	pair     *tls.Certificate
	clients  *x509.CertPool
	tickets  [][32]byte
	warnings []string // whatever the time
}

// file is a file and the key of the settings that names it.
type file struct {
	key, path string
	secret    bool
}

// reading is what the files of a part hold at a moment.
type reading struct {
	texts [][]byte
	modes []fs.FileMode
	fault *Fault            // a file cannot be read
	sum   [sha256.Size]byte // differs between readings that differ
}

// Load reads all files of the settings. It returns what is wrong with them, one fault for
// each pair or other file, and no Set if there is any.
func Load(settings Settings) (*Set, []*Fault) {
	var parts []*part
	for i, pair := range settings.Pairs {
		key := fmt.Sprintf("certificates[%d].", i)
		parts = append(parts, &part{parse: (*part).parsePair, files: []file{
			{key + "cert_file", pair.CertFile, pair.CertFile == pair.KeyFile}, {key + "key_file", pair.KeyFile, true},
		}})
	}
	if settings.ClientCAFile != "" {
		parts = append(parts, &part{parse: (*part).parseClients, files: []file{{"client_ca_file", settings.ClientCAFile, false}}})
	}
	if settings.TicketsFile != "" {
		parts = append(parts, &part{parse: (*part).parseTickets, files: []file{{"tickets_file", settings.TicketsFile, true}}})
	}
	var faults []*Fault
	for i, p := range parts {
		next, fault := p.with(p.read())
		if fault != nil {
			faults = append(faults, fault)
		}
		parts[i] = next
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return assemble(settings, parts), nil
}

// read reads the files of p.
func (p *part) read() (r reading) {
	sum := sha256.New()
	for i, f := range p.files {
		text, mode, err := readFile(f.path)
		if err != nil {
			r.fault = p.fault(i, resultUnreadable, err)
			text = []byte(r.fault.Error())
		}
		fmt.Fprintf(sum, "%t %d\n", err == nil, len(text))
		sum.Write(text)
		r.texts, r.modes = append(r.texts, text), append(r.modes, mode)
		if err != nil {
			break
		}
	}
	sum.Sum(r.sum[:0])
	return r
}

// with returns the part that a reading of the files of p makes.
func (p *part) with(r reading) (*part, *Fault) {
	next := &part{files: p.files, parse: p.parse, sum: r.sum}
	if r.fault != nil {
		return next, r.fault
	}
	if fault := p.parse(next, r.texts); fault != nil {
		return next, fault
	}
	for i, f := range p.files {
		if f.secret && r.modes[i]&0o007 != 0 {
			next.warnings = append(next.warnings, f.path+" is open to every user of this machine: chmod o= takes that away (Kubernetes: defaultMode of the volume)")
		}
	}
	return next, nil
}

func (p *part) fault(i int, result string, err error) *Fault {
	return &Fault{Key: p.files[i].key, File: p.files[i].path, Result: result, Text: err.Error()}
}

// parseClients makes p the authorities in the text of its file.
func (p *part) parseClients(texts [][]byte) *Fault {
	blocks, err := pemBlocks(texts[0])
	if err != nil {
		return p.fault(0, resultInvalid, err)
	}
	found := 0
	p.clients = x509.NewCertPool()
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue
		}
		found++
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return p.fault(0, resultInvalid, fmt.Errorf("has a certificate, number %d, that cannot be read: %w", found, err))
		}
		p.clients.AddCert(c)
	}
	if found == 0 {
		return p.fault(0, resultInvalid, errors.New("has no certificate"))
	}
	return nil
}

// assemble returns the set of parts that were all read.
func assemble(settings Settings, parts []*part) *Set {
	s := &Set{settings: settings, parts: parts, named: make(map[string][]*tls.Certificate)}
	var tickets [][32]byte
	for _, p := range parts {
		switch {
		case p.pair != nil:
			s.all = append(s.all, p.pair)
			for _, name := range p.pair.Leaf.DNSNames {
				name = strings.ToLower(name)
				s.named[name] = append(s.named[name], p.pair)
			}
		case p.clients != nil:
			s.clients = p.clients
		default:
			tickets = p.tickets
		}
	}
	if len(s.all) == 0 {
		return s
	}
	// A set of its own has ticket keys of its own, so that a session of before is not
	// resumed past the authorities of now.
	s.config = &tls.Config{GetCertificate: s.pick, MinVersion: Versions[settings.MinVersion], ClientCAs: s.clients}
	switch settings.ClientAuth {
	case ClientAuthRequest:
		s.config.ClientAuth = tls.RequestClientCert
	case ClientAuthRequire:
		s.config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if len(tickets) > 0 {
		s.config.SetSessionTicketKeys(tickets)
	}
	return s
}

// pick implements tls.Config.GetCertificate. It returns the first certificate that the
// client can use: of those for the name that it asks for, else of all. If it can use none,
// the first of all is as good as any.
func (s *Set) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	_, parent, _ := strings.Cut(name, ".")
	nameless := *hello
	nameless.ServerName = "" // its certificates are found already, or there are none
	for _, choice := range [][]*tls.Certificate{s.named[name], s.named["*."+parent], s.all} {
		for _, c := range choice {
			if nameless.SupportsCertificate(c) == nil {
				return c, nil
			}
		}
	}
	return s.all[0], nil
}

// trusts reports whether an authority vouches for the certificate of a client.
func (s *Set) trusts(state *tls.ConnectionState, now time.Time) bool {
	sent := state.PeerCertificates
	if s.clients == nil || len(sent) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	_, err := sent[0].Verify(x509.VerifyOptions{
		Roots: s.clients, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// Warnings returns what clients may not like in the files, or an operator should know, one
// line each.
func (s *Set) Warnings(now time.Time) (all []string) {
	for _, p := range s.parts {
		all = append(all, p.warnings...)
		if text := p.expiry(now); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// Describe returns a line about each certificate.
func (s *Set) Describe() (all []string) {
	for _, p := range s.parts {
		if p.pair != nil {
			leaf := p.pair.Leaf
			all = append(all, fmt.Sprintf("%s: %s, %s, until %s, TLSA %s", p.files[0].path,
				strings.Join(namesOf(leaf), ", "), keyKind(leaf), day(leaf.NotAfter), TLSA(leaf)))
		}
	}
	return all
}

// expiry returns what is wrong with the time of the certificate of p, "" for nothing.
func (p *part) expiry(now time.Time) string {
	if p.pair == nil {
		return ""
	}
	if text := expiry(p.pair.Leaf, now); text != "" {
		return p.files[0].path + " " + text
	}
	return ""
}

// String implements fmt.Stringer. It shows no key.
func (s *Set) String() string { return fmt.Sprintf("%d certificates", len(s.all)) }

// GoString implements fmt.GoStringer, for %#v.
func (s *Set) GoString() string { return s.String() }

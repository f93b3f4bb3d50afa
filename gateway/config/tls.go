package config

import (
	"fmt"
	"maps"
	"math"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/certificates"
)

// TLSConfig is what TLS is served with, at the listeners that have it.
type TLSConfig struct {
	Certificates []certificates.Pair
	MinVersion   string // "1.2" or "1.3"
	ClientAuth   string // none, request or require
	ClientCAFile string // the authorities of clients' certificates, "" for none
	TicketsFile  string // the keys of session tickets, "" for keys that each process makes
	// Handshakes is how many may have begun at once. One address may have an eighth.
	Handshakes int
	// OfferRequireTLS offers REQUIRETLS (RFC 8689) to sessions with TLS: it promises what
	// happens behind the gateway.
	OfferRequireTLS bool
}

// Whether the connections of a listener have TLS.
const (
	TLSOff      = "off"
	TLSStart    = "starttls" // whoever asks for it
	TLSRequired = "required" // by STARTTLS, before any mail
	TLSImplicit = "implicit" // from the first byte on (RFC 8314)
)

func defaultTLS() TLSConfig {
	return TLSConfig{
		MinVersion: "1.2", // RFC 8997: 1.0 and 1.1 are not for mail
		ClientAuth: certificates.ClientAuthNone,
		Handshakes: 1024,
	}
}

// tlsKeys are the keys of the section tls.
var tlsKeys = []key{
	{"tls.certificates", func(c *Config) value { return pairs{&c.TLS.Certificates} },
		"a list of pairs, each a cert_file (PEM: the server's certificate, then those between it and the root) and its key_file",
		`[{cert_file: "/etc/sluice/tls/fullchain.pem", key_file: "/etc/sluice/tls/privkey.pem"}]`},
	{"tls.min_version", func(c *Config) value {
		return version{choice{&c.TLS.MinVersion, slices.Sorted(maps.Keys(certificates.Versions)), nil}}
	},
		`"1.2" or "1.3"`, `"1.2"`},
	{"tls.client_auth", func(c *Config) value {
		return choice{&c.TLS.ClientAuth, []string{certificates.ClientAuthNone, certificates.ClientAuthRequest, certificates.ClientAuthRequire}, nil}
	},
		"none, request (a client's certificate is asked for, and none is refused) or require (no TLS without a valid one)", "none"},
	{"tls.client_ca_file", func(c *Config) value { return text{&c.TLS.ClientCAFile, isOptionalPath} },
		"the path of a file with the certificates (PEM) of the authorities that vouch for clients", `"/etc/sluice/tls/clients.pem"`},
	{"tls.tickets_file", func(c *Config) value { return text{&c.TLS.TicketsFile, isOptionalPath} },
		"the path of a file with the keys of session tickets, one in each line, each of at least 32 bytes in base64 or hexadecimal (openssl rand -base64 32)", `"/etc/sluice/tls/tickets"`},
	{"tls.handshakes", func(c *Config) value { return integer{&c.TLS.Handshakes, 8, math.MaxInt16} },
		"a whole number from 8 (one address has at most an eighth of them) to 32767", "1024"},
	{"tls.offer_requiretls", func(c *Config) value { return boolean{&c.TLS.OfferRequireTLS} },
		trueOrFalse, "false"},
}

// version is a choice that YAML takes for a fraction if it has no quotes.
type version struct{ choice }

func (v version) read(w rawValue) *valueError {
	if w.kind == kindFraction && slices.Contains(v.of, w.text) {
		w.kind = kindString
	}
	return v.choice.read(w)
}

func (v version) String() string { return strconv.Quote(*v.at) }

// maxPairs bounds the series of metrics about certificates.
const maxPairs = 64

// pairs is a list of mappings. The environment writes it as the file does, in YAML on one
// line.
type pairs struct{ at *[]certificates.Pair }

func (v pairs) read(w rawValue) *valueError {
	w, verr := inlineYAML(w)
	if verr != nil {
		return verr
	}
	items, verr := listItems(w)
	if verr != nil {
		return verr
	}
	*v.at = nil
	for i, item := range items {
		var p certificates.Pair
		verr := readFields(item, `write it as {cert_file: "cert.pem", key_file: "key.pem"}`, map[string]value{
			"cert_file": text{&p.CertFile, isPath}, "key_file": text{&p.KeyFile, isPath},
		})
		if verr != nil {
			verr.at = itemAt(i) + verr.at
			return verr
		}
		*v.at = append(*v.at, p)
	}
	return nil
}

func (v pairs) check() *valueError {
	if len(*v.at) > maxPairs {
		return outOfRange(fmt.Sprintf("%d pairs, more than %d", len(*v.at), maxPairs))
	}
	for i, p := range *v.at {
		switch {
		case p.CertFile == "":
			return &valueError{got: "none", at: itemAt(i) + ".cert_file"}
		case p.KeyFile == "":
			return &valueError{got: "none", at: itemAt(i) + ".key_file"}
		case slices.ContainsFunc((*v.at)[:i], func(q certificates.Pair) bool { return q.CertFile == p.CertFile }):
			return &valueError{got: strconv.Quote(p.CertFile), at: itemAt(i) + ".cert_file", why: "duplicate"}
		}
	}
	return nil
}

func (v pairs) String() string {
	var all []string
	for _, p := range *v.at {
		all = append(all, fmt.Sprintf("{cert_file: %q, key_file: %q}", p.CertFile, p.KeyFile))
	}
	return flowList(all)
}

// Certificates returns what TLS is served with. It is read when the configuration is
// validated.
func (c *Config) Certificates() *certificates.Set {
	if c.certificates == nil {
		return new(certificates.Set)
	}
	return c.certificates
}

// checkTLS reads the files of the section tls.
func checkTLS(c *Config) (found []*Problem) {
	set, faults := certificates.Load(certificates.Settings{
		Pairs: c.TLS.Certificates, MinVersion: c.TLS.MinVersion, ClientAuth: c.TLS.ClientAuth,
		ClientCAFile: c.TLS.ClientCAFile, TicketsFile: c.TLS.TicketsFile,
	})
	c.certificates = set
	for _, f := range faults {
		path := "tls." + f.Key
		name, _, listed := strings.Cut(path, "[")
		k := findKey(keys, name)
		p := k.problem(&valueError{got: strconv.Quote(f.File), at: path[len(name):], why: f.Text}, c.origins[name])
		if listed {
			p.Hint += "; sluice tls self-signed writes a pair for trying out"
		}
		found = append(found, &p)
	}
	return found
}

// checkTLSListeners requires a certificate if a listener has TLS.
func checkTLSListeners(c *Config) *Problem {
	at := slices.IndexFunc(c.Listeners, ListenerConfig.hasTLS)
	if at < 0 || len(c.TLS.Certificates) > 0 {
		return nil
	}
	k := findKey(keys, "tls.certificates")
	return c.conflict(k.path, fmt.Sprintf("a certificate and its key, because %s has tls: %s", c.Listeners[at].Address, c.Listeners[at].TLS),
		"set e.g. "+c.Setting(k.path, k.example)+"; sluice tls self-signed writes a pair for trying out")
}

// checkClientCA requires authorities if clients must have certificates.
func checkClientCA(c *Config) *Problem {
	if c.TLS.ClientAuth != certificates.ClientAuthRequire || c.TLS.ClientCAFile != "" {
		return nil
	}
	k := findKey(keys, "tls.client_ca_file")
	return c.conflict(k.path, "the authorities that vouch for clients, because tls.client_auth is require",
		"set e.g. "+c.Setting(k.path, k.example))
}

func (l ListenerConfig) hasTLS() bool { return l.TLS != TLSOff && l.TLS != "" }

// tlsWarnings returns settings of TLS that are allowed but risky.
func (c *Config) tlsWarnings() (all []string) {
	all = c.Certificates().Warnings(time.Now())
	if len(c.TLS.Certificates) > 0 && !slices.ContainsFunc(c.Listeners, ListenerConfig.hasTLS) {
		all = append(all, "tls.certificates has no effect: no listener has tls: starttls, required or implicit")
	}
	if c.TLS.ClientAuth == certificates.ClientAuthNone && c.TLS.ClientCAFile != "" {
		all = append(all, "tls.client_ca_file has no effect: tls.client_auth is none")
	}
	for _, l := range c.Listeners {
		_, port, _ := net.SplitHostPort(l.Address)
		switch {
		case l.TLS == TLSRequired && port == "25" && !isLoopback(l.Address):
			all = append(all, "tls is required on "+l.Address+": a server for the mail of everybody must take it in plain text, too (RFC 3207 §4)")
		case l.TLS == TLSStart && c.TLS.ClientAuth == certificates.ClientAuthRequire:
			all = append(all, "tls.client_auth is require, and "+l.Address+" takes mail without TLS: who has no certificate sends it in plain text")
		}
	}
	return all
}

// trialDir returns the folder of the certificate for trying out.
func (c *Config) trialDir() string { return filepath.Join(c.DataDir, "tls") }

// WantsTrialTLS returns the folder for a certificate for trying out, and reports whether
// there should be one: nothing is said of TLS, there is no configuration file, and nobody
// but this machine reaches the gateway.
func (c *Config) WantsTrialTLS() (dir string, wanted bool) {
	wanted = c.file == "" && len(c.PublicListeners()) == 0 && !slices.ContainsFunc(c.Listeners, ListenerConfig.hasTLS)
	for path := range c.origins {
		wanted = wanted && !strings.HasPrefix(path, "tls.")
	}
	return c.trialDir(), wanted
}

// HasTrialTLS reports whether the certificate is one for trying out.
func (c *Config) HasTrialTLS() bool {
	all := c.TLS.Certificates
	return len(all) > 0 && filepath.Dir(all[0].CertFile) == filepath.Clean(c.trialDir())
}

// WithTrialTLS returns sources that have all listeners of c offer STARTTLS with a pair.
func (c *Config) WithTrialTLS(from Sources, pair certificates.Pair) Sources {
	at, certs := slices.Clone(c.Listeners), []certificates.Pair{pair}
	for i := range at {
		at[i].TLS = TLSStart
	}
	from.Flags = slices.DeleteFunc(slices.Clone(from.Flags), func(f Flag) bool { return f.Path == "listeners" })
	from.Flags = append(from.Flags,
		Flag{"the trial of TLS", "listeners", listeners{&at}.String()}, Flag{"the trial of TLS", "tls.certificates", pairs{&certs}.String()})
	return from
}

package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"sluice/gateway/linefile"
)

// Options of a directory. Either BaseDN or UserDN says how a user is found.
type Options struct {
	// URL is where the directory is: ldap://host[:port] or ldaps://host[:port]. Several,
	// with blanks between them, are tried in order.
	URL string
	// StartTLS asks for TLS on connections to ldap://.
	StartTLS bool
	// CAFile has the certificates, in PEM, of those who vouch for the servers; "" for
	// those whom the system trusts.
	CAFile string
	// BaseDN is the entry below which users are searched for.
	BaseDN string
	// Filter finds a user: each %s stands for the name that the client claims.
	Filter string
	// UserDN is the name of a user's entry, if no search is wanted, with %s for the name
	// that the client claims.
	UserDN string
	// IdentityAttribute is the attribute of a user's entry that says who the user is; ""
	// for the name that the client claims.
	IdentityAttribute string
	// BindDN is who searches, "" for anybody.
	BindDN string
	// BindPasswordFile has the password of BindDN. It is read for each new connection.
	BindPasswordFile string
}

// Errors of options, each about one of them.
var (
	ErrURL               = errors.New("url")
	ErrStartTLS          = errors.New("start_tls")
	ErrCAFile            = errors.New("ca_file")
	ErrBaseDN            = errors.New("base_dn")
	ErrFilter            = errors.New("filter")
	ErrUserDN            = errors.New("user_dn")
	ErrIdentityAttribute = errors.New("identity_attribute")
	ErrBindDN            = errors.New("bind_dn")
	ErrBindPasswordFile  = errors.New("bind_password_file")
)

// Check returns what is wrong with the options, each joined error wrapping one of those
// above. It reads the files and asks no server.
func (o *Options) Check() error {
	servers, err := o.servers()
	errs := []error{err}
	for _, s := range servers {
		if o.StartTLS && s.implicit {
			errs = append(errs, fmt.Errorf("%w: %s has TLS from the first byte on", ErrStartTLS, s.address))
		}
	}
	if _, err := o.authorities(); err != nil {
		errs = append(errs, err)
	}
	if o.UserDN != "" {
		errs = append(errs, o.checkDirect()...)
	} else {
		errs = append(errs, o.checkSearch()...)
	}
	return errors.Join(errs...)
}

// nobody is a name with all that has to be escaped.
const nobody = "\x00 *()\\,=+<>#;\"é"

func (o *Options) checkDirect() (errs []error) {
	switch dn, err := goldap.ParseDN(o.userDN(nobody)); {
	case !strings.Contains(o.UserDN, "%s"):
		errs = append(errs, fmt.Errorf("%w: it has no %%s, which stands for the user's name", ErrUserDN))
	case err != nil:
		errs = append(errs, fmt.Errorf("%w: %w", ErrUserDN, err))
	case !valuesAlone(dn):
		errs = append(errs, fmt.Errorf("%w: %%s has to be within the value of an attribute", ErrUserDN))
	}
	for given, sentinel := range map[string]error{
		o.BaseDN: ErrBaseDN, o.IdentityAttribute: ErrIdentityAttribute, o.BindDN: ErrBindDN,
		o.BindPasswordFile: ErrBindPasswordFile,
	} {
		if given != "" {
			errs = append(errs, fmt.Errorf("%w: it is for a search, which user_dn replaces", sentinel))
		}
	}
	return errs
}

// valuesAlone reports whether no type of attribute in a name was chosen by a user.
func valuesAlone(dn *goldap.DN) bool {
	for _, rdn := range dn.RDNs {
		for _, attribute := range rdn.Attributes {
			if strings.Contains(attribute.Type, "*") {
				return false
			}
		}
	}
	return true
}

func (o *Options) checkSearch() (errs []error) {
	if _, err := goldap.ParseDN(o.BaseDN); err != nil || o.BaseDN == "" {
		errs = append(errs, fmt.Errorf("%w: %q is not the name of an entry", ErrBaseDN, o.BaseDN))
	}
	switch _, err := o.filter(nobody); {
	case !strings.Contains(o.Filter, "%s"):
		errs = append(errs, fmt.Errorf("%w: it has no %%s, which stands for the user's name", ErrFilter))
	case err != nil:
		errs = append(errs, fmt.Errorf("%w: %q: %w", ErrFilter, o.Filter, errors.Unwrap(err)))
	case !filterValuesAlone(o.Filter):
		errs = append(errs, fmt.Errorf("%w: %%s has to be within the value of an attribute", ErrFilter))
	}
	if strings.Trim(o.IdentityAttribute, attributeCharacters) != "" {
		errs = append(errs, fmt.Errorf("%w: %q is not the name of an attribute", ErrIdentityAttribute, o.IdentityAttribute))
	}
	if _, err := goldap.ParseDN(o.BindDN); err != nil && !strings.ContainsAny(o.BindDN, "@\\") {
		errs = append(errs, fmt.Errorf("%w: %w", ErrBindDN, err)) // else a name of Active Directory
	}
	switch {
	case o.BindDN == "" && o.BindPasswordFile != "":
		errs = append(errs, fmt.Errorf("%w: it is missing, and bind_password_file is its password", ErrBindDN))
	case o.BindDN != "" && o.BindPasswordFile == "":
		errs = append(errs, fmt.Errorf("%w: it is missing, and bind_dn needs a password", ErrBindPasswordFile))
	case o.BindDN != "":
		if password, err := o.bindPassword(); err != nil {
			errs = append(errs, err)
		} else {
			clear(password)
		}
	}
	return errs
}

// filterValuesAlone reports whether no attribute in a filter is chosen by a user: nothing
// escapes the characters that matter there.
func filterValuesAlone(filter string) bool {
	parts := strings.Split(filter, "%s")
	for i := range parts[:len(parts)-1] {
		before := strings.Join(parts[:i+1], "")
		if !strings.Contains(before[strings.LastIndexAny(before, "()")+1:], "=") {
			return false
		}
	}
	return true
}

const attributeCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."

// userDN returns the name of a user's entry (RFC 4514).
func (o *Options) userDN(user string) string {
	return strings.ReplaceAll(o.UserDN, "%s", goldap.EscapeDN(user))
}

// filter returns the filter for a user (RFC 4515), in BER.
func (o *Options) filter(user string) ([]byte, error) {
	packet, err := goldap.CompileFilter(strings.ReplaceAll(o.Filter, "%s", goldap.EscapeFilter(user)))
	if err != nil {
		return nil, err
	}
	return packet.Bytes(), nil
}

// bindPassword reads the password of BindDN.
func (o *Options) bindPassword() ([]byte, error) {
	password, err := linefile.ReadSecret(o.BindPasswordFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBindPasswordFile, err)
	}
	return password, nil
}

// authorities returns those who vouch for servers, nil for those whom the system trusts.
func (o *Options) authorities() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCAFile, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%w: %s has no certificate in PEM", ErrCAFile, o.CAFile)
	}
	return pool, nil
}

// servers returns the servers that URL names, in their order.
func (o *Options) servers() (servers []*server, err error) {
	for _, text := range strings.Fields(o.URL) {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrURL, errors.Unwrap(err)) // without the text
		}
		port := map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
		host := u.Hostname()
		if port == "" || host == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
			return nil, fmt.Errorf("%w: %s is not ldap://host[:port] or ldaps://host[:port]", ErrURL, u.Redacted())
		}
		if u.Port() != "" {
			port = u.Port()
		}
		servers = append(servers, &server{
			address: net.JoinHostPort(host, port), implicit: u.Scheme == "ldaps", startTLS: o.StartTLS,
			tls: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12},
		})
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%w: it is missing", ErrURL)
	}
	return servers, nil
}

// Plaintext reports whether passwords would cross a network where others can read them.
func (o *Options) Plaintext() bool {
	servers, err := o.servers()
	if err != nil {
		return false
	}
	for _, s := range servers {
		host := s.tls.ServerName
		ip, err := netip.ParseAddr(host)
		loopback := host == "localhost" || err == nil && ip.IsLoopback()
		if !s.implicit && !s.startTLS && !loopback {
			return true
		}
	}
	return false
}

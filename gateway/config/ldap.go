package config

import (
	"errors"
	"strings"

	"sluice/gateway/identity/ldap"
)

func defaultLDAP() ldap.Options { return ldap.Options{Filter: "(mail=%s)"} }

// ldapKeys are the keys of the backend ldap.
var ldapKeys = []key{
	{"auth.ldap.url", func(c *Config) value { return text{&c.Auth.LDAP.URL, isPrintable} },
		"ldap://host:port or ldaps://host:port; several, with blanks between them, are tried in order", `"ldaps://ldap.example.net"`},
	{"auth.ldap.start_tls", func(c *Config) value { return boolean{&c.Auth.LDAP.StartTLS} },
		trueOrFalse, "false"},
	{"auth.ldap.ca_file", func(c *Config) value { return text{&c.Auth.LDAP.CAFile, isPrintable} },
		"the path of a file with the certificates (PEM) of the authorities that vouch for the directory", `"/etc/sluice/ldap-ca.pem"`},
	{"auth.ldap.base_dn", func(c *Config) value { return text{&c.Auth.LDAP.BaseDN, isPrintable} },
		"the name of the entry below which users are searched for", `"ou=people,dc=example,dc=net"`},
	{"auth.ldap.filter", func(c *Config) value { return text{&c.Auth.LDAP.Filter, isPrintable} },
		"a filter (RFC 4515) in which each %s stands for the name that the client claims", `"(mail=%s)"`},
	{"auth.ldap.user_dn", func(c *Config) value { return text{&c.Auth.LDAP.UserDN, isPrintable} },
		"the name of a user's entry with %s for the name that the client claims, where no search is wanted", `"uid=%s,ou=people,dc=example,dc=net"`},
	{"auth.ldap.identity_attribute", func(c *Config) value { return text{&c.Auth.LDAP.IdentityAttribute, isPrintable} },
		"the attribute of a user's entry that says who the user is", "mail"},
	{"auth.ldap.bind_dn", func(c *Config) value { return text{&c.Auth.LDAP.BindDN, isPrintable} },
		"the name of the entry as which users are searched for", `"cn=sluice,dc=example,dc=net"`},
	{"auth.ldap.bind_password_file", func(c *Config) value { return text{&c.Auth.LDAP.BindPasswordFile, isPrintable} },
		"the path of a file with the password of bind_dn", "/run/secrets/ldap"},
}

// checkLDAP checks the keys of the directory.
func checkLDAP(c *Config) (found []*Problem) {
	if !c.asks(BackendLDAP) {
		return nil
	}
	err := c.Auth.LDAP.Check()
	if err == nil {
		return nil
	}
	all, several := err.(interface{ Unwrap() []error })
	if !several {
		return []*Problem{c.ldapProblem(err)}
	}
	for _, each := range all.Unwrap() {
		found = append(found, c.ldapProblem(each))
	}
	return found
}

// ldapProblem returns the problem of a key of the directory.
func (c *Config) ldapProblem(err error) *Problem {
	for _, key := range []error{
		ldap.ErrURL, ldap.ErrStartTLS, ldap.ErrCAFile, ldap.ErrBaseDN, ldap.ErrFilter, ldap.ErrUserDN,
		ldap.ErrIdentityAttribute, ldap.ErrBindDN, ldap.ErrBindPasswordFile,
	} {
		if errors.Is(err, key) {
			return c.unread("auth.ldap."+key.Error(), errors.New(strings.TrimPrefix(err.Error(), key.Error()+": ")))
		}
	}
	return c.unread("auth.ldap.url", err)
}

package ldap_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"sluice/gateway/identity/ldap"
)

func TestOptions(t *testing.T) {
	good := ldap.Options{
		URL: "ldaps://ldap.example.net ldaps://[::1]:1636/", BaseDN: "ou=people,dc=example,dc=net", Filter: "(mail=%s)",
		BindDN: "cn=sluice,dc=example,dc=net", BindPasswordFile: secretFile(t, "secret\r\n"),
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		name   string
		change func(*ldap.Options)
		want   error // nil: there is nothing wrong
	}{
		{"as it is", func(*ldap.Options) {}, nil},
		{"StartTLS", func(o *ldap.Options) { o.URL, o.StartTLS = "ldap://a ldap://b:1389", true }, nil},
		{"Active Directory", func(o *ldap.Options) {
			o.BindDN = "sluice@example.net"
			o.Filter = "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName=%s)(userPrincipalName=%s))(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
		}, nil},
		{"a domain of Windows", func(o *ldap.Options) { o.BindDN = `EXAMPLE\sluice` }, nil},
		{"a prefix", func(o *ldap.Options) { o.Filter = "(proxyAddresses=smtp:%s)" }, nil},
		{"anybody", func(o *ldap.Options) { o.BindDN, o.BindPasswordFile = "", "" }, nil},
		{"an attribute", func(o *ldap.Options) { o.IdentityAttribute = "mail" }, nil},
		{"direct", func(o *ldap.Options) {
			*o = ldap.Options{URL: o.URL, UserDN: "uid=%s,ou=people,dc=example,dc=net", Filter: "(mail=%s)"}
		}, nil},

		{"no URL", func(o *ldap.Options) { o.URL = " " }, ldap.ErrURL},
		{"no scheme", func(o *ldap.Options) { o.URL = "ldap.example.net" }, ldap.ErrURL},
		{"another scheme", func(o *ldap.Options) { o.URL = "https://ldap.example.net" }, ldap.ErrURL},
		{"no host", func(o *ldap.Options) { o.URL = "ldap://" }, ldap.ErrURL},
		{"no port", func(o *ldap.Options) { o.URL = "ldap://u:canary@a:b" }, ldap.ErrURL},
		{"a password", func(o *ldap.Options) { o.URL = "ldap://u:canary@ldap.example.net" }, ldap.ErrURL},
		{"a base", func(o *ldap.Options) { o.URL = "ldap://ldap.example.net/dc=example?uid" }, ldap.ErrURL},
		{"TLS twice", func(o *ldap.Options) { o.StartTLS = true }, ldap.ErrStartTLS},
		{"no authorities", func(o *ldap.Options) { o.CAFile = missing }, ldap.ErrCAFile},
		{"authorities of text", func(o *ldap.Options) { o.CAFile = o.BindPasswordFile }, ldap.ErrCAFile},
		{"no base", func(o *ldap.Options) { o.BaseDN = "" }, ldap.ErrBaseDN},
		{"a bad base", func(o *ldap.Options) { o.BaseDN = "people" }, ldap.ErrBaseDN},
		{"no filter", func(o *ldap.Options) { o.Filter = "" }, ldap.ErrFilter},
		{"a filter for all", func(o *ldap.Options) { o.Filter = "(objectClass=person)" }, ldap.ErrFilter},
		{"a filter not closed", func(o *ldap.Options) { o.Filter = "(mail=%s" }, ldap.ErrFilter},
		{"a filter without parentheses", func(o *ldap.Options) { o.Filter = "mail=%s" }, ldap.ErrFilter},
		{"an attribute by choice", func(o *ldap.Options) { o.Filter = "(%s=x)" }, ldap.ErrFilter},
		{"an attribute by choice too", func(o *ldap.Options) { o.Filter = "(&(mail=%s)(!(%s=x)))" }, ldap.ErrFilter},
		{"a rule by choice", func(o *ldap.Options) { o.Filter = "(:%s:=x)" }, ldap.ErrFilter},
		{"a filter by choice", func(o *ldap.Options) { o.Filter = "(%s)" }, ldap.ErrFilter},
		{"no attribute", func(o *ldap.Options) { o.IdentityAttribute = "mail, uid" }, ldap.ErrIdentityAttribute},
		{"no name", func(o *ldap.Options) { o.BindDN = "sluice" }, ldap.ErrBindDN},
		{"no binding", func(o *ldap.Options) { o.BindDN = "" }, ldap.ErrBindDN},
		{"no password", func(o *ldap.Options) { o.BindPasswordFile = "" }, ldap.ErrBindPasswordFile},
		{"no file", func(o *ldap.Options) { o.BindPasswordFile = missing }, ldap.ErrBindPasswordFile},
		{"an empty file", func(o *ldap.Options) { o.BindPasswordFile = secretFile(t, "\n") }, ldap.ErrBindPasswordFile},
		{"a file that is too large", func(o *ldap.Options) {
			o.BindPasswordFile = secretFile(t, strings.Repeat("x", 5000))
		}, ldap.ErrBindPasswordFile},
		{"direct and a search", func(o *ldap.Options) {
			*o = ldap.Options{URL: o.URL, UserDN: "uid=%s,dc=example,dc=net", BaseDN: "dc=example,dc=net"}
		}, ldap.ErrBaseDN},
		{"direct for all", func(o *ldap.Options) { *o = ldap.Options{URL: o.URL, UserDN: "uid=alice,dc=example,dc=net"} }, ldap.ErrUserDN},
		{"direct, no name", func(o *ldap.Options) { *o = ldap.Options{URL: o.URL, UserDN: "%s@example.net"} }, ldap.ErrUserDN},
		{"direct, a name by choice", func(o *ldap.Options) { *o = ldap.Options{URL: o.URL, UserDN: "%s,dc=example,dc=net"} }, ldap.ErrUserDN},
		{"direct, an attribute by choice", func(o *ldap.Options) { *o = ldap.Options{URL: o.URL, UserDN: "%s=x,dc=example,dc=net"} }, ldap.ErrUserDN},
	} {
		o := good
		test.change(&o)
		err := o.Check()
		if !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, opened := ldap.Open(o); (opened == nil) != (test.want == nil) {
			t.Errorf("%s: open: %v", test.name, opened)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %q", test.name, err)
		}
	}
}

func TestPlaintext(t *testing.T) {
	for url, want := range map[string]bool{
		"ldap://ldap.example.net": true, "ldaps://a ldap://b": true, "ldaps://a": false,
		"ldap://127.0.0.1:3890": false, "ldap://[::1]": false, "ldap://localhost": false, "": false,
	} {
		o := ldap.Options{URL: url}
		if got := o.Plaintext(); got != want {
			t.Errorf("%q: %v", url, got)
		}
	}
	if (&ldap.Options{URL: "ldap://ldap.example.net", StartTLS: true}).Plaintext() {
		t.Error("with StartTLS")
	}
}

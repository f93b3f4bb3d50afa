package config

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/gateway/identity/ldap"
	"sluice/gateway/identity/static"
	"sluice/gateway/senders"
)

// AuthConfig says how users prove who they are, at the listeners for submission.
type AuthConfig struct {
	Backends       []string // asked in this order
	Senders        string   // own, domain, any, or the path of a map file
	AllowPlaintext bool     // takes AUTH without TLS, at listeners on loopback
	Explain        bool     // tells clients why they were refused
	Cache          time.Duration
	Attempts       int // how many may be in flight; one address has an eighth
	Static         StaticUsersConfig
	LDAP           ldap.Options
	OIDC           OIDCConfig
}

// StaticUsersConfig is where the backend static has its users.
type StaticUsersConfig struct{ File string }

// Names of backends.
const (
	BackendStatic       = "static"
	BackendLDAP         = "ldap"
	BackendOIDCToken    = "oidc-token"
	BackendOIDCPassword = "oidc-password"
)

// Backends returns the name of every backend.
func Backends() []string {
	return []string{BackendStatic, BackendLDAP, BackendOIDCToken, BackendOIDCPassword}
}

// What listeners are for.
const (
	RoleMX         = "mx"         // mail of anybody for our recipients
	RoleSubmission = "submission" // mail of our users for anybody
)

func defaultAuth() AuthConfig {
	return AuthConfig{
		Senders: "own", Attempts: 256, LDAP: defaultLDAP(), OIDC: defaultOIDC(),
	}
}

// authKeys are the keys of the section auth.
var authKeys = []key{
	{"auth.backends", func(c *Config) value { return backends{words{&c.Auth.Backends}} },
		"a list of " + strings.Join(Backends(), ", ") + ", in the order in which they are asked", "[static]"},
	{"auth.senders", func(c *Config) value { return text{&c.Auth.Senders, isPath} },
		"own, domain, any, or the path of a file with a user and the addresses from which it may send in each line", "own"},
	{"auth.allow_plaintext", func(c *Config) value { return boolean{&c.Auth.AllowPlaintext} },
		trueOrFalse, "false"},
	{"auth.explain", func(c *Config) value { return boolean{&c.Auth.Explain} },
		trueOrFalse, "false"},
	{"auth.cache", func(c *Config) value { return duration{&c.Auth.Cache, 0, maxTimeout} },
		"a time from 0s (every attempt is judged anew) to 1h", "5m"},
	{"auth.attempts", func(c *Config) value { return integer{&c.Auth.Attempts, 8, 1 << 14} },
		"a whole number from 8 (one address has at most an eighth of them) to 16384", "256"},
	{"auth.static.file", func(c *Config) value { return text{&c.Auth.Static.File, isPrintable} },
		"the path of a file with a user, a colon and the hash of the password in each line (sluice hash-password)", "/etc/sluice/users"},
}

// words is a list of strings.
type words struct{ at *[]string }

func (v words) read(w rawValue) (verr *valueError) {
	*v.at, verr = stringItems(w)
	return verr
}

func (v words) check() *valueError {
	for i, word := range *v.at {
		if !isPrintable(word) {
			return &valueError{got: strconv.Quote(word), at: itemAt(i)}
		}
	}
	return nil
}

func (v words) String() string {
	var all []string
	for _, word := range *v.at {
		all = append(all, strconv.Quote(word))
	}
	return flowList(all)
}

// backends is a list of backends, each at most once.
type backends struct{ words }

func (v backends) check() *valueError {
	for i, name := range *v.at {
		switch f := (&valueError{got: strconv.Quote(name), at: itemAt(i)}); {
		case !slices.Contains(Backends(), name):
			return f
		case slices.Contains((*v.at)[:i], name):
			f.why = "duplicate"
			return f
		}
	}
	return nil
}

// Users returns the users of the backend static, and Senders who may send as whom. Both are
// read when the configuration is validated.
func (c *Config) Users() *static.Users { return c.users }

// SenderPolicy returns who may send as whom.
func (c *Config) SenderPolicy() *senders.Policy { return c.senders }

// OffersAuth reports whether some listener takes the mail of users.
func (c *Config) OffersAuth() bool {
	return slices.ContainsFunc(c.Listeners, ListenerConfig.isSubmission)
}

// TakesMail reports whether some listener takes the mail of anybody.
func (c *Config) TakesMail() bool {
	return slices.ContainsFunc(c.Listeners, func(l ListenerConfig) bool { return !l.isSubmission() })
}

func (l ListenerConfig) isSubmission() bool { return l.Role == RoleSubmission }

// asks reports whether a backend is asked.
func (c *Config) asks(backend string) bool {
	return c.OffersAuth() && slices.Contains(c.Auth.Backends, backend)
}

// checkBackends requires a backend if a listener takes the mail of users.
func checkBackends(c *Config) *Problem {
	at := slices.IndexFunc(c.Listeners, ListenerConfig.isSubmission)
	if at < 0 || len(c.Auth.Backends) > 0 {
		return nil
	}
	k := findKey(keys, "auth.backends")
	return c.conflict(k.path, "who knows the users of "+c.Listeners[at].Address+", which has role: submission: "+k.expected,
		"set e.g. "+c.Setting(k.path, k.example)+" and "+c.Setting("auth.static.file", "/etc/sluice/users"))
}

// checkPlaintext requires TLS for passwords, except on loopback.
func checkPlaintext(c *Config) *Problem {
	for _, l := range c.Listeners {
		switch {
		case !l.isSubmission():
		case c.Auth.AllowPlaintext && !isLoopback(l.Address):
			return c.conflict("auth.allow_plaintext", "false, because other machines reach "+l.Address+", and a password in plain text is anybody's",
				"set "+c.Setting("auth.allow_plaintext", "false")+" and tls: required at that listener")
		case !c.Auth.AllowPlaintext && !l.hasTLS():
			return c.conflict("listeners", "tls: required or implicit at "+l.Address+", which has role: submission: nobody could authenticate there",
				"set "+c.Setting("listeners", `[{address: "`+l.Address+`", role: submission, tls: required}]`)+", or on loopback "+c.Setting("auth.allow_plaintext", "true"))
		}
	}
	return nil
}

// checkSenders reads who may send as whom.
func checkSenders(c *Config) *Problem {
	c.senders = senders.Named(c.Auth.Senders)
	if c.senders != nil {
		return nil
	}
	policy, err := senders.Read(c.Auth.Senders)
	if err == nil {
		c.senders = policy
		return nil
	}
	return c.unread("auth.senders", err)
}

// checkUsers reads the users of the backend static.
func checkUsers(c *Config) *Problem {
	c.users = nil
	if !c.asks(BackendStatic) {
		return nil
	}
	users, err := static.Read(c.Auth.Static.File)
	if c.Auth.Static.File == "" {
		err = errors.New("auth.backends has static")
	}
	if err == nil {
		c.users = users
		return nil
	}
	return c.unread("auth.static.file", err)
}

// unread returns the problem of a file that cannot be used.
func (c *Config) unread(path string, err error) *Problem {
	k := findKey(keys, path)
	p := c.conflict(path, k.expected, "set e.g. "+c.Setting(path, k.example))
	p.Got += " (" + err.Error() + ")"
	return p
}

// authWarnings returns settings of AUTH that are allowed but risky.
func (c *Config) authWarnings() (all []string) {
	if len(c.Auth.Backends) > 0 && !c.OffersAuth() {
		all = append(all, "auth.backends has no effect: no listener has role: submission")
	}
	for _, l := range c.Listeners {
		if l.isSubmission() && c.Auth.AllowPlaintext && (l.ProxyProtocol == ProxyRequired || len(l.XclientNetworks) > 0) {
			all = append(all, "auth.allow_plaintext is true at "+l.Address+", to which proxies pass clients on: they have to end TLS themselves")
		}
	}
	if c.OffersAuth() && c.Auth.Senders == "any" {
		all = append(all, "auth.senders is any: each user may send as every other one")
	}
	if c.Auth.Explain {
		all = append(all, "auth.explain is true: who tries out passwords learns which users there are")
	}
	if c.asks(BackendLDAP) && c.Auth.LDAP.Plaintext() {
		all = append(all, "auth.ldap.url has no TLS: passwords go to the directory in plain text")
	}
	if c.users != nil && !c.users.Uniform() {
		all = append(all, fmt.Sprintf("%s has hashes of different kinds: time tells which users there are", c.Auth.Static.File))
	}
	return all
}

// HashesAtOnce returns how many hashes of passwords are computed at a time: half of the
// processors stay for mail.
func HashesAtOnce() int { return max(runtime.GOMAXPROCS(0)/2, 1) }

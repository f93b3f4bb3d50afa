// Package ldap asks a directory whether a client is who it says it is, by a search and a
// bind, or by a bind alone. What connects, writes and reads is its own: each answer is read
// up to a bound, each step ends with the attempt, and nothing runs beside it
// (docs/decisions.md, A directory is asked by our own connection).
package ldap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"sluice/gateway/identity"
)

// Backend is the backend for a directory. It is safe for concurrent use.
type Backend struct {
	options  Options
	servers  []*server
	nobody   string // an entry that does not exist
	searches *pool  // connections that are bound as the service
	binds    *pool  // connections on which users are bound, one after the other
	pace     pace
}

// Open returns a backend. It asks no server yet, so that one which is away does not keep
// the process from starting.
func Open(o Options) (*Backend, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	servers, err := o.servers()
	if err != nil {
		return nil, err
	}
	authorities, err := o.authorities()
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		s.tls.RootCAs = authorities
	}
	b := &Backend{options: o, servers: servers, nobody: "cn=nobody-" + rand.Text() + "," + o.BaseDN}
	b.searches = &pool{open: func(ctx context.Context) (*conn, error) { return b.dial(ctx, b.bindService) }}
	b.binds = &pool{open: func(ctx context.Context) (*conn, error) { return b.dial(ctx, nil) }}
	return b, nil
}

// Name implements identity.Backend.
func (b *Backend) Name() string { return "ldap" }

// Tokens implements identity.Backend.
func (b *Backend) Tokens() bool { return false }

// Close implements identity.Backend.
func (b *Backend) Close() error {
	b.searches.close()
	b.binds.close()
	return nil
}

// Authenticate implements identity.Backend.
func (b *Backend) Authenticate(ctx context.Context, a *identity.Attempt) identity.Answer {
	// The port promises so. A bind without a password would succeed.
	if a.Token || a.User == "" || len(a.Secret) == 0 {
		return identity.Answer{
			Verdict: identity.Refused, Reason: identity.ReasonRefused,
			Err: errors.New("no name, no password, or a token"),
		}
	}
	if b.options.UserDN != "" {
		return b.direct(ctx, a)
	}
	return b.searched(ctx, a)
}

// direct binds as the entry that the user's name leads to.
func (b *Backend) direct(ctx context.Context, a *identity.Attempt) identity.Answer {
	got, err := b.bindUser(ctx, b.options.userDN(a.User), a.Secret)
	if err != nil {
		return ofError(err)
	}
	if v := judgeUser(got); v.verdict != identity.Accepted {
		// No entry has a name that is no name, such as letters beyond ASCII in a mail
		// address. With a plain one the fault is user_dn's.
		if got.code == codeInvalidDNSyntax && !isPlain(a.User) {
			v = verdict{identity.Unknown, identity.ReasonUnknownUser}
		}
		return v.answer(got, a.Secret)
	}
	return accepted(a.User)
}

// searched searches for the user's entry and binds as it.
func (b *Backend) searched(ctx context.Context, a *identity.Attempt) identity.Answer {
	found, err := b.find(ctx, a.User)
	if err != nil {
		return ofError(err)
	}
	began := time.Now()
	if len(found) != 1 {
		return b.notOne(ctx, a, found, began)
	}
	got, err := b.bindUser(ctx, found[0].dn, a.Secret)
	if err != nil {
		return ofError(err)
	}
	v := judgeUser(got)
	if v.verdict == identity.Accepted || v.reason == identity.ReasonWrongPassword {
		b.pace.note(time.Since(began))
	}
	if v.verdict != identity.Accepted {
		return v.answer(got, a.Secret)
	}
	if b.options.IdentityAttribute == "" {
		return accepted(a.User)
	}
	return b.identified(a.User, found[0])
}

// notOne answers for a name that no entry has, or more than one. It binds as nobody, and
// takes as long as for a user who exists.
func (b *Backend) notOne(ctx context.Context, a *identity.Attempt, found []entry, began time.Time) identity.Answer {
	got, err := b.bindUser(ctx, b.nobody, []byte("of nobody"))
	if err != nil {
		return ofError(err)
	}
	if v := judgeUser(got); v.verdict == identity.Unavailable {
		return v.answer(got, a.Secret)
	}
	if err := b.pace.wait(ctx, began); err != nil {
		return ofError(err)
	}
	if len(found) > 1 {
		return identity.Answer{
			Verdict: identity.Refused, Reason: identity.ReasonAmbiguous,
			Err: fmt.Errorf("%s and %s", readable(found[0].dn), readable(found[1].dn)),
		}
	}
	return identity.Answer{
		Verdict: identity.Unknown, Reason: identity.ReasonUnknownUser,
		Err: errors.New("the search found no entry"),
	}
}

// identified accepts a user as what the entry's attribute says. Of several values it is the
// one that the client claims.
func (b *Backend) identified(claimed string, e entry) identity.Answer {
	who, reason := "", identity.ReasonNotPermitted
	if len(e.values) == 1 {
		who = e.values[0]
	}
	for _, value := range e.values {
		if strings.EqualFold(value, claimed) {
			who = value
		}
	}
	if len(e.values) > 1 {
		reason = identity.ReasonAmbiguous
	}
	if !identity.IsName(who) {
		return identity.Answer{
			Verdict: identity.Refused, Reason: reason,
			Err: fmt.Errorf("%s has %d values of %s, and none that is fit", readable(e.dn), len(e.values), b.options.IdentityAttribute),
		}
	}
	return accepted(who)
}

func accepted(who string) identity.Answer {
	return identity.Answer{Verdict: identity.Accepted, Identity: identity.Fold(who)}
}

// answer returns the answer for a result that does not accept.
func (v verdict) answer(got result, secret []byte) identity.Answer {
	return identity.Answer{
		Verdict: v.verdict, Reason: v.reason,
		Err: errors.New(got.withoutSecret(secret).String()),
	}
}

// refusedBind is how long the service's bind rests after it was refused. Tried with every
// attempt, a wrong password would lock the account.
const refusedBind = 10 * time.Second

// bindService binds a new connection as the service, if there is one.
func (b *Backend) bindService(ctx context.Context, c *conn) error {
	if b.options.BindDN == "" {
		return nil
	}
	password, err := b.options.bindPassword()
	if err != nil {
		return err
	}
	defer clear(password)
	got, err := c.bind(ctx, b.options.BindDN, password)
	if err != nil {
		return err
	}
	if got.code != codeSuccess {
		f := &fault{reason: judgeService(got), result: got.withoutSecret(password)}
		if f.reason == identity.ReasonMisconfigured {
			f.retryAfter = refusedBind
		}
		return fmt.Errorf("bind as %s: %w", b.options.BindDN, f)
	}
	return nil
}

// find searches for a user. It returns at most two entries; two say that there are more
// than one.
func (b *Backend) find(ctx context.Context, user string) (found []entry, err error) {
	filter, err := b.options.filter(user)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMalformed, err)
	}
	request := searchRequest{
		base: b.options.BaseDN, filter: filter, attribute: b.options.IdentityAttribute,
		seconds: int(stepTimeout / time.Second),
	}
	if request.attribute == "" {
		request.attribute = "1.1" // none (RFC 4511 §4.5.1.8)
	}
	var got result
	err = b.searches.use(ctx, func(c *conn) (err error) {
		found, got, err = c.search(ctx, request)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case got.code == codeSizeLimitExceeded && len(found) > 0:
		// There are more than the server shows: of one too, if its own limit is one.
		return []entry{found[0], found[len(found)-1]}, nil
	case got.code != codeSuccess:
		got = got.withoutSecret(nil)
		return nil, fmt.Errorf("search below %s: %w", b.options.BaseDN, &fault{reason: judgeService(got), result: got})
	}
	return found, nil
}

// bindUser binds as a user.
func (b *Backend) bindUser(ctx context.Context, dn string, password []byte) (got result, err error) {
	err = b.binds.use(ctx, func(c *conn) (err error) {
		got, err = c.bind(ctx, dn, password)
		return err
	})
	return got, err
}

// isPlain reports whether a name has printable characters of ASCII alone.
func isPlain(name string) bool {
	return !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' })
}

// readable returns the name of an entry for a log.
func readable(dn string) string { return result{diagnostic: dn}.withoutSecret(nil).diagnostic }

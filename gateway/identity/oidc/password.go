package oidc

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"sluice/gateway/identity"
	"sluice/gateway/linefile"
)

// Password is the backend that hands passwords to the provider.
type Password struct {
	o      *Options
	p      *provider
	openid bool         // the provider answers with an ID token
	quiet  atomic.Int64 // nobody asks before, in Unix nanoseconds
}

var _ identity.Backend = (*Password)(nil)

// NewPassword returns the backend for passwords. The provider is not asked before the
// first one comes.
func NewPassword(o Options) (*Password, error) {
	if err := errOf(o.CheckPassword()); err != nil {
		return nil, err
	}
	c := o.clone()
	openid := slices.Contains(strings.Fields(c.Scope), "openid")
	return &Password{o: c, p: newProvider(c, openid), openid: openid}, nil
}

// Name implements identity.Backend.
func (b *Password) Name() string { return "oidc-password" }

// Tokens implements identity.Backend.
func (b *Password) Tokens() bool { return false }

// Close implements identity.Backend.
func (b *Password) Close() error { return b.p.close() }

// Authenticate implements identity.Backend.
func (b *Password) Authenticate(ctx context.Context, a *identity.Attempt) identity.Answer {
	answer := b.judge(ctx, a)
	if answer.Verdict == identity.Unavailable && ctx.Err() != nil {
		answer.Reason = identity.ReasonTimeout
	}
	return answer
}

func (b *Password) judge(ctx context.Context, a *identity.Attempt) identity.Answer {
	if err := ctx.Err(); err != nil {
		return *broken(err)
	}
	if !utf8.Valid(a.Secret) { // RFC 4616 §2; nor could a form have it
		return *refuse(identity.ReasonRefused, "the password is not UTF-8")
	}
	if wait := time.Unix(0, b.quiet.Load()).Sub(b.o.now()); wait > 0 {
		no := unavailable(identity.ReasonThrottled, "the provider asked to be left alone, for another %v",
			wait.Round(time.Second))
		no.RetryAfter = wait
		return *no
	}
	known, no := b.p.find(ctx, func(*metadata) bool { return true })
	if no != nil {
		return *no
	}
	r, no := b.send(ctx, a, known)
	if no != nil {
		return *no
	}
	if r.status != http.StatusOK {
		no := judgeError(r, known.tokenEndpoint)
		if no.RetryAfter > 0 {
			b.quiet.Store(b.o.now().Add(no.RetryAfter).UnixNano())
		}
		return *no
	}
	return b.judgeSuccess(ctx, a, r.body)
}

// send sends the user's name and password to the provider (RFC 6749 §4.3.2).
func (b *Password) send(ctx context.Context, a *identity.Attempt, m *metadata) (*reply, *identity.Answer) {
	var body form
	defer body.wipe()
	body.add("grant_type", []byte("password"))
	if b.o.Scope != "" {
		body.add("scope", []byte(b.o.Scope))
	}
	body.add("username", []byte(a.User))
	body.add("password", a.Secret)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.tokenEndpoint, body.reader())
	if err != nil {
		return nil, unavailable(identity.ReasonMisconfigured, "%w", err)
	}
	if b.o.ClientSecretFile == "" {
		body.add("client_id", []byte(b.o.ClientID))
	} else if no := b.authenticate(request, &body, m.basic); no != nil {
		return nil, no
	}
	request.ContentLength = int64(len(body.text))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.GetBody = func() (io.ReadCloser, error) { return body.reader(), nil }
	return b.p.do(request)
}

// authenticate adds Sluice's own secret to a request. The file is read for each, so that a
// new secret counts as soon as it is there.
func (b *Password) authenticate(request *http.Request, body *form, basic bool) *identity.Answer {
	secret, err := linefile.ReadSecret(b.o.ClientSecretFile)
	if err != nil {
		return unavailable(identity.ReasonMisconfigured, "client_secret_file: %w", err)
	}
	defer clear(secret)
	if basic { // RFC 6749 §2.3.1
		request.SetBasicAuth(url.QueryEscape(b.o.ClientID), url.QueryEscape(string(secret)))
		return nil
	}
	body.add("client_id", []byte(b.o.ClientID))
	body.add("client_secret", secret)
	return nil
}

// judgeSuccess returns the answer for what the provider sends with 200.
func (b *Password) judgeSuccess(ctx context.Context, a *identity.Attempt, body []byte) identity.Answer {
	var success struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	if json.Unmarshal(body, &success) != nil || success.AccessToken == "" {
		return *unavailable(identity.ReasonFailing, "the provider answers 200 without a token")
	}
	if !b.openid {
		return accepted(a.User, b.o.Issuer)
	}
	if success.IDToken == "" {
		return *unavailable(identity.ReasonFailing, "the provider answers 200 without an ID token, "+
			"for which the scope openid asks; leave that out of the scope to do without")
	}
	t, no := parse([]byte(success.IDToken), maxIDToken)
	if no == nil {
		no = b.checkID(ctx, t)
	}
	if no != nil {
		if no.Verdict != identity.Unavailable { // it is not the user's fault
			no = unavailable(identity.ReasonFailing, "the provider's ID token: %w", no.Err)
		}
		return *no
	}
	return b.named(t.claims, a.User)
}

// checkID checks an ID token (OpenID Connect Core §3.1.3.7).
func (b *Password) checkID(ctx context.Context, t *token) *identity.Answer {
	audiences := t.claims.list("aud")
	switch {
	case t.claims.text("iss") != b.o.Issuer:
		return refuse(identity.ReasonTokenIssuer, "it is of another issuer than %s", b.o.Issuer)
	case !slices.Contains(audiences, b.o.ClientID) || len(audiences) > 1 && t.claims.text("azp") != b.o.ClientID:
		return refuse(identity.ReasonTokenAudience, "it is not for client_id alone")
	}
	if no := b.p.checkTenant(t.claims); no != nil {
		return no
	}
	if no := t.claims.checkTime(b.o.now()); no != nil {
		return no
	}
	return b.p.verify(ctx, t)
}

// loginNames are claims with the name by which a user signs in.
var loginNames = []string{"upn", "preferred_username", "unique_name"}

// named returns the answer for the user of an ID token. One of its names must be the one
// that the client gave: who signs in with a mail address may have another user name. A token
// without a login name, where that is who the user is, leaves the one that was given.
func (b *Password) named(c claims, user string) identity.Answer {
	name := b.p.identity(c, b.o.IdentityClaim)
	names := []string{name}
	for _, claim := range append([]string{"email"}, loginNames...) {
		names = append(names, b.p.identity(c, claim))
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "" })
	given := identity.Fold(user)
	if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return identity.Fold(n) == given }) {
		return *refuse(identity.ReasonTokenIdentity, "the provider's ID token has another name than the client gave")
	}
	if name == "" && (c.has(b.o.IdentityClaim) || !slices.Contains(loginNames, b.o.IdentityClaim)) {
		return *refuse(identity.ReasonTokenIdentity, "the provider's ID token has no valid claim %q, or it is not verified",
			b.o.IdentityClaim)
	}
	if name == "" {
		name = user
	}
	return accepted(name, b.o.Issuer)
}

package oidc

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"sluice/gateway/identity"
)

const (
	// leeway is how far the provider's clock and ours may differ.
	leeway = time.Minute
	// farFuture is how late a token may be issued from now.
	farFuture = 10 * time.Minute
	// lastSecond is one after which no token ends: the year 5138.
	lastSecond = 1e11
)

// claims are what a token says, each as it stands there.
type claims map[string]json.RawMessage

// text returns a claim that is a string, "" if it is missing or something else.
func (c claims) text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) != nil {
		return ""
	}
	return text
}

// list returns a claim that is a string or an array of strings.
func (c claims) list(name string) []string {
	var several []string
	if json.Unmarshal(c[name], &several) == nil {
		return several
	}
	if one := c.text(name); one != "" {
		return []string{one}
	}
	return nil
}

// words returns the words of a claim that is a string with spaces, or an array.
func (c claims) words(name string) []string {
	return strings.Fields(strings.Join(c.list(name), " "))
}

// has reports whether there is such a claim.
func (c claims) has(name string) bool { return c[name] != nil }

// says reports whether a claim says yes, as a boolean, a number or a string.
func (c claims) says(name string) bool {
	value := string(c[name])
	if text := c.text(name); text != "" {
		value = text
	}
	return value == "1" || strings.EqualFold(value, "true")
}

// when returns a claim that is a time (NumericDate, RFC 7519 §2), and reports whether it
// is one.
func (c claims) when(name string) (time.Time, bool) {
	var seconds float64
	if !c.has(name) || string(c[name]) == "null" || json.Unmarshal(c[name], &seconds) != nil ||
		seconds < 0 || seconds > lastSecond {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// checkTime returns why a token does not count at that time, nil if it does.
func (c claims) checkTime(now time.Time) *identity.Answer {
	expiry, ok := c.when("exp")
	if !ok {
		return refuse(identity.ReasonToken, "the token has no valid end (exp)")
	}
	notBefore, ok := c.when("nbf")
	if !ok && c.has("nbf") {
		return refuse(identity.ReasonToken, "the beginning of the token (nbf) is not valid")
	}
	issued, ok := c.when("iat")
	if !ok && c.has("iat") {
		return refuse(identity.ReasonToken, "the date of the token (iat) is not valid")
	}
	switch {
	case !now.Before(expiry.Add(leeway)):
		return refuse(identity.ReasonTokenExpired, "the token expired %v ago", now.Sub(expiry).Round(time.Second))
	case now.Before(notBefore.Add(-leeway)):
		return refuse(identity.ReasonTokenExpired, "the token is not valid yet, for %v", notBefore.Sub(now).Round(time.Second))
	case now.Before(issued.Add(-farFuture)):
		return refuse(identity.ReasonTokenExpired, "the token is from the future, by %v", issued.Sub(now).Round(time.Second))
	}
	return nil
}

// checkAudience returns why a token is not for us, nil if it is.
func (o *Options) checkAudience(c claims) *identity.Answer {
	audiences := c.list("aud")
	for _, audience := range audiences {
		if slices.Contains(o.Audiences, audience) {
			return nil
		}
	}
	for _, audience := range audiences {
		if service := foreign[strings.TrimSuffix(audience, "/")]; service != "" {
			return refuse(identity.ReasonTokenAudience, "the token is for %s; the client has to ask for the scope %s",
				service, o.TokenScope())
		}
	}
	return refuse(identity.ReasonTokenAudience, "the token is for nobody of the audiences %q", o.Audiences)
}

// checkScopes returns which scope a token lacks, nil for none. A token without scopes is
// that of an application and has roles.
func (o *Options) checkScopes(c claims) *identity.Answer {
	kind, granted := "scope", append(c.words("scp"), c.words("scope")...)
	if !c.has("scp") && !c.has("scope") {
		kind, granted = "role", c.list("roles")
	}
	for _, required := range o.RequiredScopes {
		if !slices.Contains(granted, required) {
			return refuse(identity.ReasonTokenScope, "the token lacks the %s %s", kind, required)
		}
	}
	return nil
}

// identity returns whom a token is of by a claim, "" if it does not say so or if nobody
// has verified it.
func (p *provider) identity(c claims, claim string) string {
	name := c.text(claim)
	if claim == "email" && !p.verified(c) {
		return ""
	}
	if !identity.IsName(name) {
		return ""
	}
	return name
}

// verified reports whether the mail address in a token was verified. Entra has addresses
// that the administrators of a guest's own tenant have set: there xms_edov must say that the
// domain was verified. Others must not say the contrary.
func (p *provider) verified(c claims) bool {
	if p.tenant != "" && !c.says("xms_edov") {
		return false
	}
	return !c.has("email_verified") || c.says("email_verified")
}

// checkKind returns why a token is none for access, nil if it is one. ID tokens, and those of
// a logout, have the same issuer, keys and perhaps audience (RFC 8725 §2.8).
func (p *provider) checkKind(t *token) *identity.Answer {
	c := t.claims
	switch {
	case t.typ != "" && !strings.EqualFold(strings.TrimPrefix(t.typ, "application/"), "at+jwt") && !strings.EqualFold(t.typ, "JWT"):
	case c.has("at_hash"), c.has("c_hash"), c.has("events"): // OpenID Connect Core §3.3.2.11, Back-Channel Logout §2.4
	case c.has("cnf"): // bound to a key that we cannot ask for (RFC 7800)
		return refuse(identity.ReasonToken, "the token counts only with its client's key (cnf)")
	case c.has("typ") && !strings.EqualFold(c.text("typ"), "Bearer"): // Keycloak
	case p.tenant != "" && !c.has("azp") && !c.has("appid"): // the client, which Entra's ID tokens do not name
	default:
		return nil
	}
	return refuse(identity.ReasonToken, "the token is none for access: perhaps an ID token")
}

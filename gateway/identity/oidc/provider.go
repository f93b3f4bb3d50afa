package oidc

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/gateway/identity"
)

const (
	// askTimeout bounds the reading of what the provider says about itself. It is far below
	// timeouts.auth, so that whoever reads can still use what was known before.
	askTimeout = 5 * time.Second
	// askPause is the least time between two readings, whatever keys tokens ask for;
	// firstPause that after a first one which failed.
	askPause   = time.Minute
	firstPause = 5 * time.Second
	// maxAge is when it is read again though nothing is missing: a key that was withdrawn
	// is forgotten.
	maxAge = time.Hour
)

// metadata is what the provider says about itself. It does not change.
type metadata struct {
	tokenEndpoint string
	basic         bool // a client's secret goes into a header
	keys          []key
	read          time.Time
}

// provider knows what the provider says about itself. It is read when it is first needed,
// by one at a time. What was read last is used while it cannot be read again.
type provider struct {
	*client
	o      *Options
	tenant string        // of Entra, "" for others
	keys   bool          // keys are needed
	most   time.Duration // askTimeout; tests have less

	reading chan struct{} // whoever reads has put one in

	mu     sync.Mutex
	known  *metadata
	failed *identity.Answer // what the last reading came to, nil for success
	next   time.Time        // nobody reads before
}

func newProvider(o *Options, keys bool) *provider {
	p := &provider{client: newClient(o), o: o, keys: keys, most: askTimeout, reading: make(chan struct{}, 1)}
	if issuer, err := url.Parse(o.Issuer); err == nil {
		p.tenant = tenant(issuer)
	}
	return p
}

// close closes connections.
func (p *provider) close() error {
	p.http.CloseIdleConnections()
	return nil
}

// view is what is known at a moment.
type view struct {
	known   *metadata
	enough  bool             // for whoever asked
	trouble *identity.Answer // why it is not, nil if the provider has said all that it can
	read    bool             // it is time to read
}

// look returns what is known.
func (p *provider) look(enough func(*metadata) bool) view {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	v := view{known: p.known, read: !now.Before(p.next)}
	if v.enough = p.known != nil && enough(p.known); v.enough {
		v.read = v.read && now.Sub(p.known.read) >= maxAge
	} else {
		v.trouble = p.failed
	}
	return v
}

// find returns what the provider says about itself. It reads it, if that is due, or if what
// is known is not enough and may be read again. It returns trouble if what is known is not
// enough and could not be read; without trouble it may still not be enough.
func (p *provider) find(ctx context.Context, enough func(*metadata) bool) (*metadata, *identity.Answer) {
	v := p.look(enough)
	if !v.read {
		return v.known, v.trouble
	}
	if v.enough {
		select {
		case p.reading <- struct{}{}:
		default: // somebody reads, and nobody needs to wait for it
			return v.known, nil
		}
	} else {
		select {
		case p.reading <- struct{}{}:
		case <-ctx.Done():
			return nil, broken(ctx.Err())
		}
	}
	defer func() { <-p.reading }()
	if v = p.look(enough); !v.read {
		return v.known, v.trouble
	}
	trouble := p.reread(ctx)
	if v = p.look(enough); v.enough {
		return v.known, nil
	}
	return v.known, trouble
}

// reread reads what the provider says about itself, and keeps it if that succeeds.
func (p *provider) reread(ctx context.Context) *identity.Answer {
	ask, cancel := context.WithTimeout(ctx, p.most)
	defer cancel()
	fresh, trouble := p.readAll(ask)
	if trouble != nil && ctx.Err() != nil {
		return broken(ctx.Err()) // which says nothing about the provider
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := askPause
	switch {
	case trouble == nil:
		p.known = fresh
	case p.known == nil:
		pause = max(firstPause, trouble.RetryAfter)
	default:
		pause = max(askPause, trouble.RetryAfter)
		p.o.Logger.Warn("the identity provider cannot be read again; what it said before stays in use",
			"issuer", p.o.Issuer, "since", p.known.read.UTC().Format(time.RFC3339), "err", trouble.Err)
	}
	p.failed, p.next = trouble, p.now().Add(pause)
	return trouble
}

// readAll reads the discovery document and the keys.
func (p *provider) readAll(ctx context.Context) (*metadata, *identity.Answer) {
	address := strings.TrimSuffix(p.o.Issuer, "/") + "/.well-known/openid-configuration"
	body, trouble := p.get(ctx, address)
	if trouble != nil {
		return nil, trouble
	}
	var document struct {
		Issuer        string   `json:"issuer"`
		TokenEndpoint string   `json:"token_endpoint"`
		Keys          string   `json:"jwks_uri"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, unavailable(identity.ReasonFailing, "%s has no discovery document: %w", address, err)
	}
	issuer := document.Issuer
	if p.tenant != "" {
		issuer = strings.ReplaceAll(issuer, "{tenantid}", p.tenant)
	}
	// OpenID Connect Discovery §4.3: they must be the same, else somebody else's tokens
	// would count.
	if issuer != p.o.Issuer {
		return nil, unavailable(identity.ReasonMisconfigured, "%s says that its issuer is %.200q, not %q",
			address, issuer, p.o.Issuer)
	}
	m := &metadata{tokenEndpoint: document.TokenEndpoint, read: p.now()}
	m.basic = !slices.Contains(document.Methods, "client_secret_post")
	if !p.keys {
		return m, nil
	}
	if body, trouble = p.get(ctx, document.Keys); trouble != nil {
		return nil, trouble
	}
	var err error
	if m.keys, err = readKeys(body, p.ofIssuer); err != nil {
		return nil, unavailable(identity.ReasonFailing, "%.200s: %w", document.Keys, err)
	}
	return m, nil
}

// ofIssuer reports whether a key of Entra that is for one issuer alone is for ours.
func (p *provider) ofIssuer(issuer string) bool {
	return p.tenant == "" || issuer == "" || strings.ReplaceAll(issuer, "{tenantid}", p.tenant) == p.o.Issuer
}

package s3

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// roleTimeout bounds a request for the credentials of a role. minio-go gives it no time of
// its own, and all requests to the store wait for it.
const roleTimeout = 5 * time.Second

func newCredentials(o *Options, transport http.RoundTripper) (*credentials.Credentials, *staticKeys, error) {
	switch o.Credentials {
	case CredentialsStatic:
		p := &staticKeys{current: Keys{o.AccessKey, o.SecretKey}, reread: o.Reread}
		return credentials.New(p), p, nil
	case CredentialsEnv:
		c := credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.EnvMinio{},
		})
		// With missing variables the chain would send anonymous requests.
		if v, err := c.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
			return nil, nil, errors.New("credentials: env, and neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are set")
		}
		return c, nil, nil
	case CredentialsIAM:
		client := &http.Client{Transport: transport, Timeout: min(roleTimeout, o.Timeout/4)}
		return credentials.New(&credentials.IAM{Client: client}), nil, nil
	default:
		return nil, nil, fmt.Errorf("credentials %q: static, env or iam", o.Credentials)
	}
}

// Keys are static credentials.
type Keys struct{ Access, Secret string }

// staticKeys provides static credentials, which may be replaced while the store is open.
type staticKeys struct {
	reread func(refused Keys) (keys Keys, changed bool) // nil when they never change

	mu      sync.Mutex
	current Keys
}

var _ credentials.Provider = (*staticKeys)(nil)

// Retrieve implements credentials.Provider.
func (s *staticKeys) Retrieve() (credentials.Value, error) { return s.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (s *staticKeys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	keys := s.get()
	return credentials.Value{
		AccessKeyID: keys.Access, SecretAccessKey: keys.Secret, SignerType: credentials.SignatureV4,
	}, nil
}

// IsExpired implements credentials.Provider. Only a refusal ends static keys.
func (s *staticKeys) IsExpired() bool { return false }

// get returns the current keys. They are empty for credentials that are not static.
func (s *staticKeys) get() Keys {
	if s == nil {
		return Keys{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// replace rereads the keys after a refusal. It reports whether the current keys differ
// from the refused ones.
func (s *staticKeys) replace(refused Keys) bool {
	if s == nil || s.reread == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != refused { // another request replaced them
		return true
	}
	fresh, changed := s.reread(refused)
	if changed {
		s.current = fresh
	}
	return changed
}

// refused reports whether a response rejects our credentials. The response to a HEAD has
// no code, and some servers answer every such case with access denied, so the status
// counts too.
func refused(err error) bool {
	r, ok := response(err)
	if !ok {
		return false
	}
	switch codes[r.Code].op {
	case "credentials refused", "credentials expired":
		return true
	}
	return r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized
}

// renew replaces credentials that were refused with err. It reports whether the request,
// which was signed with the keys used, should be retried.
func (c *client) renew(err error, used Keys) bool {
	if !refused(err) {
		return false
	}
	if r, _ := response(err); r.Code == "ExpiredToken" || r.Code == "InvalidToken" {
		c.credentials.Expire() // the next request gets new ones
	}
	if !c.keys.replace(used) {
		return false
	}
	c.credentials.Expire()
	return true
}

package s3

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

func newCredentials(o *Options) (*credentials.Credentials, *secret, error) {
	switch o.Credentials {
	case CredentialsStatic:
		p := &secret{present: Keys{o.AccessKey, o.SecretKey}, reread: o.Reread}
		return credentials.New(p), p, nil
	case CredentialsEnv:
		c := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.EnvMinio{}})
		// The chain makes anonymous requests of missing variables.
		if v, err := c.GetWithContext(nil); err != nil || v.AccessKeyID == "" {
			return nil, nil, errors.New("credentials: env, and neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are set")
		}
		return c, nil, nil
	case CredentialsIAM:
		return credentials.NewIAM(""), nil, nil
	default:
		return nil, nil, fmt.Errorf("credentials %q: static, env or iam", o.Credentials)
	}
}

// Keys are static credentials.
type Keys struct{ Access, Secret string }

// secret is the provider of static credentials, which may be replaced while the store
// is open.
type secret struct {
	reread func(refused Keys) (keys Keys, changed bool) // nil for some that stay

	mu      sync.Mutex
	present Keys
}

var _ credentials.Provider = (*secret)(nil)

// Retrieve implements credentials.Provider.
func (s *secret) Retrieve() (credentials.Value, error) { return s.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (s *secret) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	keys := s.get()
	return credentials.Value{
		AccessKeyID: keys.Access, SecretAccessKey: keys.Secret, SignerType: credentials.SignatureV4,
	}, nil
}

// IsExpired implements credentials.Provider: only a refusal ends static keys.
func (s *secret) IsExpired() bool { return false }

// get returns the present keys, none for credentials that are not static.
func (s *secret) get() Keys {
	if s == nil {
		return Keys{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present
}

// replace reports whether there are other keys than those that were refused.
func (s *secret) replace(refused Keys) bool {
	if s == nil || s.reread == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.present != refused { // another request was quicker
		return true
	}
	fresh, changed := s.reread(refused)
	if changed {
		s.present = fresh
	}
	return changed
}

// refusesUs reports whether an answer refuses who we are. A HEAD has no code, and some
// servers call all of it access denied.
func refusesUs(err error) bool {
	r, ok := response(err)
	if !ok {
		return false
	}
	switch meanings[r.Code].op {
	case "credentials refused", "credentials expired":
		return true
	}
	return r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized
}

// renew reports whether a request that failed by err, signed with the keys used,
// may be made again with others.
func (c *client) renew(err error, used Keys) bool {
	if !refusesUs(err) {
		return false
	}
	if r, _ := response(err); r.Code == "ExpiredToken" || r.Code == "InvalidToken" {
		c.credentials.Expire() // the next request asks for new ones
	}
	if !c.secret.replace(used) {
		return false
	}
	c.credentials.Expire()
	return true
}

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
		p := &secret{key: o.AccessKey, present: o.SecretKey, reread: o.RereadSecret}
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

// secret is the provider of static credentials, whose secret may be replaced while
// the store is open.
type secret struct {
	key    string
	reread func(refused string) (secret string, changed bool) // nil for one that stays

	mu      sync.Mutex
	present string
}

var _ credentials.Provider = (*secret)(nil)

// Retrieve implements credentials.Provider.
func (s *secret) Retrieve() (credentials.Value, error) { return s.RetrieveWithCredContext(nil) }

// RetrieveWithCredContext implements credentials.Provider.
func (s *secret) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return credentials.Value{
		AccessKeyID: s.key, SecretAccessKey: s.get(), SignerType: credentials.SignatureV4,
	}, nil
}

// IsExpired implements credentials.Provider: only a refusal ends a secret.
func (s *secret) IsExpired() bool { return false }

// get returns the present secret, "" for credentials that are not static.
func (s *secret) get() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present
}

// replace reports whether there is another secret than the one that was refused.
func (s *secret) replace(refused string) bool {
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
	switch r.Code {
	case "ExpiredToken", "InvalidToken", "InvalidTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return true
	}
	return r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized
}

// renew reports whether a request that failed by err, signed with the secret used,
// may be made again with another secret.
func (c *client) renew(err error, used string) bool {
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

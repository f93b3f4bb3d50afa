package s3

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/testkit"
	"sluice/pipeline"
	"sluice/pipeline/pack"
	"sluice/pipeline/porttest"
)

// rotated is a file with rotated keys, which the store rereads after a refusal.
type rotated struct {
	asked atomic.Int64
	holds atomic.Pointer[Keys]
}

func (r *rotated) reread(refused Keys) (Keys, bool) {
	r.asked.Add(1)
	held := *r.holds.Load()
	return held, held != refused
}

func (r *rotated) hold(secret string) { r.holds.Store(&Keys{testAccess, secret}) }

// refuseSecret replaces the keys of the store with some that are refused.
func (s *Store) refuseSecret() {
	s.client.keys.mu.Lock()
	s.client.keys.current = Keys{"nobody", "no-longer-valid"}
	s.client.keys.mu.Unlock()
	s.client.credentials.Expire()
}

// TestSecretReplaced checks that a refused secret is reread and that no message fails
// because of it, alone, in a pack or in parts.
func TestSecretReplaced(t *testing.T) {
	for _, server := range servers {
		for name, packs := range map[string]*pack.Options{"alone": nil, "packs": smallPacks()} {
			t.Run(server.name+" "+name, func(t *testing.T) {
				t.Parallel()
				file := &rotated{}
				file.hold(testSecret)
				o := server.options(t)
				o.Reread, o.Pack = file.reread, packs
				s := mustOpen(t, o)
				mustStore(t, s, "before")
				if n := file.asked.Load(); n != 0 {
					t.Errorf("asked %d times without a refusal", n)
				}
				s.refuseSecret()
				var group sync.WaitGroup
				for range 20 {
					group.Go(func() {
						sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
						if err != nil || sent.Err != nil {
							t.Errorf("%v %v", err, sent.Err)
						}
					})
				}
				group.Wait()
				s.refuseSecret()
				if err := storeBy(t, s, "part"); err[0] != nil {
					t.Error(err)
				}
				s.refuseSecret()
				if err := s.Probe(t.Context()); err != nil {
					t.Errorf("probe: %v", err)
				}
				if n := file.asked.Load(); n < 3 || n > 30 {
					t.Errorf("asked %d times", n)
				}
			})
		}
	}
}

// TestSecretStillRefused checks that an unchanged or wrong secret in the file is a
// temporary failure, which ends when the file is fixed.
func TestSecretStillRefused(t *testing.T) {
	file := &rotated{}
	file.hold("no-longer-valid")
	o := minioServer.options(t)
	o.Reread = file.reread
	s := mustOpen(t, o)
	s.refuseSecret()
	sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
	if err != nil || pipeline.KindOf(sent.Err) != pipeline.KindTemporary || !strings.Contains(sent.Err.Error(), "credentials refused") {
		t.Errorf("%v %v", err, sent.Err)
	}
	file.hold(testSecret)
	mustStore(t, s, "fixed")
}

// TestSilentRole checks that messages have their results, and later ones are stored, when
// the service that gives the credentials of a role begins an answer and never ends it.
func TestSilentRole(t *testing.T) {
	f := newFake(t)
	var silent atomic.Bool
	ended := make(chan struct{})
	roles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-ended
			return
		}
		// They have expired, so that each request asks for others.
		fmt.Fprintf(w, `{"AccessKeyId": %q, "SecretAccessKey": %q, "Token": "t", "Expiration": %q}`,
			testAccess, testSecret, time.Now().UTC().Format(time.RFC3339))
	}))
	defer roles.Close()
	defer close(ended)
	for _, name := range []string{
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.URL)
	o := f.options()
	o.Credentials, o.AccessKey, o.SecretKey, o.Timeout = CredentialsIAM, "", "", faultTimeout
	s := mustOpen(t, o)
	mustStore(t, s, "before")
	silent.Store(true)
	for range 3 {
		began := time.Now()
		sent, err := porttest.Store(s, porttest.NewMessage([]byte("x")))
		if err != nil || sent.Err == nil {
			t.Fatalf("%v, no failure without credentials", err)
		}
		if took := time.Since(began); took > faultTimeout+slack {
			t.Errorf("a result after %v", took)
		}
	}
	silent.Store(false)
	testkit.Eventually(t, "a message is stored again", func() bool {
		sent, err := porttest.Store(s, porttest.NewMessage([]byte("after")))
		return err == nil && sent.Err == nil
	})
}

package s3

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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

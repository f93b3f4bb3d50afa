package verifier_test

import (
	"testing"
	"time"

	"sluice/gateway/resolver"
	"sluice/gateway/verifier"
	"sluice/gateway/verify"
	"sluice/internal/testkit/dnstest"
	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestConformance runs the suite of verifiers on evaluations that ask a server.
func TestConformance(t *testing.T) {
	const deadline = 2 * time.Second
	porttest.Verifier(t, func(t *testing.T) porttest.VerifierUnderTest {
		server := dnstest.Serve(t, "")
		r, err := resolver.New(resolver.Options{Servers: []string{server.Address}, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		checks := verifier.NewEvaluations(verify.Options{AuthservID: "mx.example.net", Policy: verify.DefaultPolicy()}, r)
		v := verifier.New(verifier.Options{
			Checks: func() verifier.Checks { return checks }, Deadline: func() time.Duration { return deadline }, Observer: nobody{},
		})
		t.Cleanup(func() {
			v.Close()
			r.Close()
		})
		return porttest.VerifierUnderTest{
			Verifier: v, Host: "mx.example.net", Deadline: deadline,
			Silence: func() (restore func()) {
				server.Silent.Store(true)
				return func() { server.Silent.Store(false) }
			},
		}
	})
}

// nobody is told of verdicts.
type nobody struct{}

func (nobody) Verified(*pipeline.Verdicts, bool) {}
func (nobody) Forged(int)                        {}

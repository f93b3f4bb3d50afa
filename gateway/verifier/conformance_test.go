package verifier_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
	"sluice/gateway/verifier"
	"sluice/gateway/verify"
	"sluice/pipeline"
	"sluice/pipeline/porttest"
)

// TestConformance runs the suite of verifiers on evaluations that ask a server.
func TestConformance(t *testing.T) {
	const deadline = 2 * time.Second
	porttest.Verifier(t, func(t *testing.T) porttest.VerifierUnderTest {
		var silent atomic.Bool
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if !silent.Load() {
				_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeNameError))
			}
		})}
		started, served := make(chan struct{}), make(chan error, 1)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { served <- server.ActivateAndServe() }()
		<-started
		r, err := resolver.New(resolver.Options{Servers: []string{conn.LocalAddr().String()}, Timeout: time.Second})
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
			_ = server.Shutdown()
			<-served
		})
		return porttest.VerifierUnderTest{
			Verifier: v, Host: "mx.example.net", Deadline: deadline,
			Silence: func() (restore func()) {
				silent.Store(true)
				return func() { silent.Store(false) }
			},
		}
	})
}

// nobody is told of verdicts.
type nobody struct{}

func (nobody) Verified(*pipeline.Verdicts, bool) {}
func (nobody) Forged(int)                        {}

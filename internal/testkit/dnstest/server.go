// Package dnstest answers for zones of tests.
package dnstest

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// Server is a DNS server on loopback that answers for a zone.
type Server struct {
	Address string
	Silent  atomic.Bool // it does not answer
}

// Serve starts a server that ends with the test. The zone is text in the form of RFC 1035
// §5. Names under broken.example. are answered SERVFAIL.
func Serve(t testing.TB, zone string) *Server {
	t.Helper()
	records := map[string][]dns.RR{}
	parser := dns.NewZoneParser(strings.NewReader(zone), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: conn.LocalAddr().String()}
	ready := make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(ready) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		if !s.Silent.Load() {
			_ = w.WriteMsg(answer(m, records)) // who asked may be gone
		}
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.ActivateAndServe() // ends with Shutdown
	}()
	<-ready
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-ended
	})
	return s
}

// answer returns the reply to a question.
func answer(m *dns.Msg, records map[string][]dns.RR) *dns.Msg {
	reply := new(dns.Msg)
	reply.SetReply(m)
	reply.RecursionAvailable = true
	name := strings.ToLower(m.Question[0].Name)
	for _, rr := range records[name] {
		if rr.Header().Rrtype == m.Question[0].Qtype {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	switch {
	case strings.HasSuffix(name, "broken.example."):
		reply.Rcode = dns.RcodeServerFailure
	case records[name] == nil:
		reply.Rcode = dns.RcodeNameError
	}
	return reply
}

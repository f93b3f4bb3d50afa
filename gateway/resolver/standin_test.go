package resolver_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sluice/gateway/resolver"
)

// standin is a DNS server whose answers a test writes.
type standin struct {
	address string

	mu      sync.Mutex
	queries []query
}

// query is what it was asked.
type query struct {
	network string
	name    string // in the letters in which it came
	qtype   uint16
	port    int // of who asked
	udpSize uint16
}

// answerer writes the reply to a query, or none.
type answerer func(w dns.ResponseWriter, m, reply *dns.Msg)

// newStandin starts a server that ends with the test. answer gets a reply without records;
// what it leaves there is sent, unless it returns false.
func newStandin(t testing.TB, answer func(q query, reply *dns.Msg) bool) *standin {
	t.Helper()
	return newRawStandin(t, func(w dns.ResponseWriter, m, reply *dns.Msg) {
		if answer(queryOf(w, m), reply) {
			_ = w.WriteMsg(reply) // who asked may be gone
		}
	})
}

func newRawStandin(t testing.TB, answer answerer) *standin {
	t.Helper()
	s := &standin{}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		s.mu.Lock()
		s.queries = append(s.queries, queryOf(w, m))
		s.mu.Unlock()
		reply := new(dns.Msg)
		reply.SetReply(m)
		reply.RecursionAvailable = true
		answer(w, m, reply)
	})
	tcp, packets := listen(t)
	s.address = tcp.Addr().String()
	serve(t, &dns.Server{Listener: tcp, Handler: handler})
	serve(t, &dns.Server{PacketConn: packets, Handler: handler})
	return s
}

// serve runs a server until the end of the test.
func serve(t testing.TB, server *dns.Server) {
	t.Helper()
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	go func() { _ = server.ActivateAndServe() }() // ends with Shutdown
	<-ready
	t.Cleanup(func() { _ = server.Shutdown() })
}

// listen returns one port for both protocols.
func listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, packets
		}
		tcp.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func queryOf(w dns.ResponseWriter, m *dns.Msg) query {
	q := query{network: w.RemoteAddr().Network(), name: m.Question[0].Name, qtype: m.Question[0].Qtype}
	switch address := w.RemoteAddr().(type) {
	case *net.UDPAddr:
		q.port = address.Port
	case *net.TCPAddr:
		q.port = address.Port
	}
	if edns := m.IsEdns0(); edns != nil {
		q.udpSize = edns.UDPSize()
	}
	return q
}

// asked returns what the server was asked so far.
func (s *standin) asked() []query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]query(nil), s.queries...)
}

// networks returns by what protocols it was asked, in order.
func (s *standin) networks() string {
	var b strings.Builder
	for _, q := range s.asked() {
		b.WriteString(q.network + " ")
	}
	return strings.TrimSpace(b.String())
}

// rr returns records in the form of zone files.
func rr(texts ...string) []dns.RR {
	records := make([]dns.RR, len(texts))
	for i, text := range texts {
		record, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		records[i] = record
	}
	return records
}

// observer keeps what it hears.
type observer struct {
	mu    sync.Mutex
	heard []string
}

func (o *observer) LookedUp(recordType, outcome string, hit bool, seconds float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := recordType + " " + outcome
	switch {
	case hit && seconds >= 0:
		text += " hit and asked"
	case hit:
		text += " hit"
	}
	o.heard = append(o.heard, text)
}

// last returns the type and outcome of the last lookup.
func (o *observer) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.heard[len(o.heard)-1]
}

// open returns a resolver that asks the given servers and ends with the test.
func open(t testing.TB, options resolver.Options, servers ...string) *resolver.Resolver {
	t.Helper()
	options.Servers = servers
	if options.Timeout == 0 {
		options.Timeout = 20 * time.Second // no test waits for it
	}
	r, err := resolver.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

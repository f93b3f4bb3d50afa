package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// udpSize is the largest answer by UDP that is asked for: it is not fragmented on the way
// (DNS flag day 2020).
const udpSize = 1232

// minAttempts is how often a question is asked where there is one server only: a datagram
// may be lost.
const minAttempts = 2

// resolve asks servers until one answers, and follows an alias that it did not follow. The
// time for all of it is that of asking each server once.
func (r *Resolver) resolve(ctx context.Context, q question) *answer {
	servers := r.servers.list(r.now())
	ctx, cancel := context.WithTimeout(ctx, r.timeout*time.Duration(servers.attempts()))
	defer cancel()
	name, ttl := escape(q.name), maxTTL
	for range maxChain {
		got := r.ask(ctx, servers, name, q.qtype)
		switch {
		case !got.known():
			got.ttl = failureTTL
			return &got.answer
		case got.alias == "":
			got.ttl = min(got.ttl, ttl)
			return &got.answer
		}
		name, ttl = got.alias, min(got.aliasTTL, ttl)
	}
	return &answer{err: errChain, ttl: failureTTL}
}

// attempts returns how often a question is asked at most.
func (l *serverList) attempts() int { return max(len(l.all), minAttempts) }

// ask asks one server after the other, beginning with the one that was of use last.
func (r *Resolver) ask(ctx context.Context, servers *serverList, name string, qtype uint16) reading {
	var last reading
	first := int(servers.preferred.Load())
	for i := range servers.attempts() {
		at := (first + i) % len(servers.all)
		m, err := r.askOne(ctx, servers.all[at], newQuery(name, qtype))
		if err == nil {
			last = read(m)
		} else {
			last = reading{answer: answer{err: err}}
		}
		switch {
		case last.known():
			servers.preferred.Store(uint32(at))
			return last
		case ctx.Err() != nil, err == nil && i+1 >= len(servers.all): // it would answer the same
			return last
		}
	}
	return last
}

// askOne asks one server as soon as there may be a socket for it.
func (r *Resolver) askOne(ctx context.Context, s *server, query *dns.Msg) (*dns.Msg, error) {
	select {
	case r.sockets <- struct{}{}:
		defer func() { <-r.sockets }()
	case <-ctx.Done():
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	m, err := askServer(ctx, s.address, query)
	var bare refusal
	switch {
	case err == nil:
		s.hasAnswered(r.now(), r.servers.logger)
		s.hasServed(r.now(), refusalIn(m), r.servers.logger)
	case errors.As(err, &bare):
		s.hasAnswered(r.now(), r.servers.logger)
		s.hasServed(r.now(), bare, r.servers.logger)
	case !errors.Is(err, errBogus) && !errors.Is(ctx.Err(), context.Canceled):
		s.hasNot(r.now(), err, r.servers.logger)
	}
	return m, err
}

// askServer asks by UDP and, where that does not do, by TCP.
func askServer(ctx context.Context, address string, query *dns.Msg) (*dns.Msg, error) {
	m, err := exchange(ctx, "udp", address, query)
	if err == nil && m.Truncated || errors.Is(err, errCase) || errors.Is(err, errNoise) {
		m, err = exchange(ctx, "tcp", address, query)
		if err == nil && m.Truncated {
			return nil, fmt.Errorf("%w: %s has cut it by TCP too", errBogus, address)
		}
	}
	if err == nil && !m.RecursionAvailable && !m.Authoritative && len(m.Answer) == 0 && m.Rcode == dns.RcodeSuccess {
		return nil, fmt.Errorf("%w: %s does not ask others", errBogus, address)
	}
	return m, err
}

// maxNoise is how many datagrams that are not the answer are read before it is asked for
// by TCP: whoever sends them may be guessing.
const maxNoise = 16

// Why an answer by UDP is asked for again by TCP.
var (
	// errCase says that an answer has the question in other letters than it was asked in: it
	// may be forged, or the server is one that does not keep them.
	errCase = fmt.Errorf("%w: the question has other letters", errBogus)
	// errNoise says that too much came that is not the answer.
	errNoise = fmt.Errorf("%w: %d datagrams that are not the answer", errBogus, maxNoise)
)

// newQuery returns a query with a random number and letters in random case (0x20), which a
// forger had to guess.
func newQuery(name string, qtype uint16) *dns.Msg {
	mixed := []byte(name)
	for i, c := range mixed {
		if ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') && rand.Uint32()&1 == 1 {
			mixed[i] = c ^ 0x20
		}
	}
	m := new(dns.Msg)
	m.SetQuestion(string(mixed), qtype) // with a random number
	m.SetEdns0(udpSize, false)
	return m
}

// exchange sends a query from a port of its own and returns the response to it. What else
// arrives there is not for us.
func exchange(ctx context.Context, network, server string, query *dns.Msg) (*dns.Msg, error) {
	wire, err := query.Pack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBogus, err)
	}
	sent := new(dns.Msg) // the question as it will come back, escapes and all
	if err := sent.Unpack(wire); err != nil {
		return nil, fmt.Errorf("%w: %w", errBogus, err)
	}
	raw, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	conn := &dns.Conn{Conn: raw, UDPSize: udpSize}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	for range maxNoise {
		m, err := readMessage(conn)
		if m != nil && isBareRefusal(m, sent) {
			return nil, refusalOf(m.Rcode)
		}
		if m != nil && isAnswer(m, sent) {
			switch {
			case network == "udp" && m.Question[0].Name != sent.Question[0].Name:
				return nil, errCase
			case err != nil && !m.Truncated:
				return nil, fmt.Errorf("%w: %w", errBogus, err)
			}
			return m, nil
		}
		var failure net.Error
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &failure):
			return nil, err
		case network == "tcp": // nobody else can write into it
			if err == nil {
				err = errors.New("not to this question")
			}
			return nil, fmt.Errorf("%w: %w", errBogus, err)
		}
	}
	return nil, errNoise
}

// readMessage reads a message. With an error it returns what could be read of it, or nil.
// Of one with too many records it reads the question alone: names may be compressed, and
// would be 64 times as long.
func readMessage(conn *dns.Conn) (*dns.Msg, error) {
	var h dns.Header
	wire, err := conn.ReadMsgHeader(&h)
	if err != nil || h.Qdcount > 1 {
		return nil, err
	}
	records := int(h.Ancount) + int(h.Nscount) + int(h.Arcount)
	if records > maxRecords {
		clear(wire[6:12]) // their three numbers
		err = fmt.Errorf("%d records", records)
	}
	m := new(dns.Msg)
	return m, errors.Join(m.Unpack(wire), err)
}

// isAnswer reports whether m is the response to a query, whatever the case of its letters.
func isAnswer(m, query *dns.Msg) bool {
	if !isReply(m, query) || len(m.Question) != 1 {
		return false
	}
	got, want := m.Question[0], query.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// isBareRefusal reports whether m refuses a query without its question, as some servers do.
// A forger had to guess less of it. So it says nothing about the name, only that this server
// is of no use: another one is asked, or the same one again.
func isBareRefusal(m, query *dns.Msg) bool {
	return isReply(m, query) && len(m.Question) == 0 && refusalIn(m) != ""
}

// isReply reports whether m has the number of a query.
func isReply(m, query *dns.Msg) bool {
	return m.Response && m.Id == query.Id && m.Opcode == dns.OpcodeQuery
}

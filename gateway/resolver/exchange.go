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
func (r *Resolver) resolve(q question) *answer {
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout*time.Duration(r.attempts()))
	defer cancel()
	name, ttl := escape(q.name), maxTTL
	for range maxChain {
		got := r.ask(ctx, name, q.qtype)
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

func (r *Resolver) attempts() int { return max(len(r.servers), minAttempts) }

// ask asks one server after the other, beginning with the one that answered last.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) reading {
	var last reading
	first := int(r.preferred.Load())
	for i := range r.attempts() {
		at := (first + i) % len(r.servers)
		m, err := r.askOne(ctx, r.servers[at], newQuery(name, qtype))
		if err == nil {
			r.preferred.Store(uint32(at))
			if last = read(m); last.known() {
				return last
			}
			continue
		}
		last = reading{answer: answer{err: err}}
		if ctx.Err() != nil {
			break
		}
	}
	return last
}

// askOne asks one server, by UDP and, where that does not do, by TCP.
func (r *Resolver) askOne(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	m, err := exchange(ctx, "udp", server, query)
	if err == nil && m.Truncated || errors.Is(err, errCase) {
		m, err = exchange(ctx, "tcp", server, query)
		if err == nil && m.Truncated {
			return nil, fmt.Errorf("%w: %s has cut it by TCP too", errBogus, server)
		}
	}
	if err == nil && !m.RecursionAvailable && !m.Authoritative && len(m.Answer) == 0 && m.Rcode == dns.RcodeSuccess {
		return nil, fmt.Errorf("%w: %s does not ask others", errBogus, server)
	}
	return m, err
}

// errCase says that an answer has the question in other letters than it was asked in: it
// may be forged, or the server is one that does not keep them.
var errCase = fmt.Errorf("%w: the question has other letters", errBogus)

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
	for {
		m, err := conn.ReadMsg()
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
}

// isAnswer reports whether m is the response to a query, whatever the case of its letters.
func isAnswer(m, query *dns.Msg) bool {
	if !m.Response || m.Id != query.Id || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return false
	}
	got, want := m.Question[0], query.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	// systemFile has the servers of the machine.
	systemFile = "/etc/resolv.conf"
	// localServer is asked where systemFile names none (resolv.conf(5)).
	localServer = "127.0.0.1"
	// maxSystemServers is how many of systemFile are asked: those behind never are by the
	// C library (resolv.conf(5), MAXNS).
	maxSystemServers = 3
	// lookAgain is how long systemFile is taken to be as it was.
	lookAgain = 5 * time.Second
	// silentAfter is how long a server that has answered may be asked in vain before
	// somebody is told: it may be the domain that is slow.
	silentAfter = 10 * time.Second
)

// servers are those that a resolver asks: fixed ones, or those of a file that may change.
type servers struct {
	file    string // "" if they are fixed
	logger  *slog.Logger
	current atomic.Pointer[serverList]

	looking sync.Mutex // held while the file is read
	looked  time.Time
	wrong   string // with the file; it was logged
}

// serverList does not change, but for what is known about its servers.
type serverList struct {
	all       []*server
	preferred atomic.Uint32 // index of the one that is asked first
}

// server is one server and whether it answers.
type server struct {
	address  string       // IP:port
	answered atomic.Int64 // when, the last time, in Unix nanoseconds; 0: never
	silent   atomic.Bool  // it was logged
	served   atomic.Int64 // when it last gave an answer of use, or the first that was none; 0: neither
	useless  atomic.Bool  // it was logged
}

// newServers returns the given servers or, if there are none, those of systemFile.
func newServers(given []string, logger *slog.Logger) (*servers, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &servers{logger: logger}
	if len(given) == 0 {
		return s, s.follow(systemFile)
	}
	var addresses []string
	for _, text := range given {
		address, err := ParseServer(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	s.current.Store(newList(addresses))
	return s, nil
}

// follow makes the servers those of a file.
func (s *servers) follow(file string) error {
	s.file = file
	addresses, err := readServers(file)
	switch {
	case errors.Is(err, errNoServers) || errors.Is(err, fs.ErrNotExist):
		local, _ := ParseServer(localServer)
		addresses = []string{local}
	case err != nil:
		return err
	}
	s.current.Store(newList(addresses))
	return nil
}

func newList(addresses []string) *serverList {
	l := &serverList{}
	for _, address := range addresses {
		l.all = append(l.all, &server{address: address})
	}
	return l
}

// ParseServer returns the IP:port of a server that is written as IP or IP:port.
func ParseServer(text string) (string, error) {
	if address, err := netip.ParseAddrPort(text); err == nil && address.Port() != 0 {
		return address.String(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return "", fmt.Errorf("%q is not an IP address, with or without a port", text)
	}
	return netip.AddrPortFrom(address, 53).String(), nil
}

// errNoServers says that a file names no server.
var errNoServers = errors.New("no nameserver in it")

// readServers returns the servers of a file such as resolv.conf. As the C library does, it
// passes over what is no address.
func readServers(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const longest = 64 << 10
	content, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return nil, err
	}
	parsed, err := dns.ClientConfigFromReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, text := range parsed.Servers {
		if address, err := ParseServer(text); err == nil && len(addresses) < maxSystemServers {
			addresses = append(addresses, address)
		}
	}
	if len(addresses) == 0 {
		return nil, errNoServers
	}
	return addresses, nil
}

// list returns the servers of now.
func (s *servers) list(now time.Time) *serverList {
	if s.file != "" && s.looking.TryLock() {
		if now.Sub(s.looked) >= lookAgain {
			s.looked = now
			s.look()
		}
		s.looking.Unlock()
	}
	return s.current.Load()
}

// look reads the file again. One without servers changes nothing: it may be about to be
// written.
func (s *servers) look() {
	addresses, err := readServers(s.file)
	if err != nil {
		if wrong := err.Error(); wrong != s.wrong {
			s.wrong = wrong
			s.logger.Warn("the file has no DNS servers: those before are asked", "file", s.file, "err", err)
		}
		return
	}
	s.wrong = ""
	before := s.current.Load().all
	if slices.EqualFunc(before, addresses, func(a *server, b string) bool { return a.address == b }) {
		return
	}
	s.current.Store(newList(addresses))
	s.logger.Info("other DNS servers are asked", "file", s.file, "servers", addresses)
}

// hasAnswered notes that the server has answered.
func (s *server) hasAnswered(now time.Time, logger *slog.Logger) {
	s.answered.Store(now.UnixNano())
	if s.silent.Load() && s.silent.CompareAndSwap(true, false) {
		logger.Info("a DNS server answers", "server", s.address)
	}
}

// hasNot notes that the server has not answered. If that is so for a while, it is logged,
// once.
func (s *server) hasNot(now time.Time, err error, logger *slog.Logger) {
	since := now.Sub(time.Unix(0, s.answered.Load()))
	if since >= silentAfter && s.silent.CompareAndSwap(false, true) {
		logger.Warn("a DNS server does not answer", "server", s.address, "err", err)
	}
}

// hasServed notes whether an answer of the server is of use or refuses. If all refuse for a
// while, that is logged, once: some domains alone are broken.
func (s *server) hasServed(now time.Time, refused refusal, logger *slog.Logger) {
	if refused == "" {
		s.served.Store(now.UnixNano())
		if s.useless.Load() && s.useless.CompareAndSwap(true, false) {
			logger.Info("a DNS server gives answers of use again", "server", s.address)
		}
		return
	}
	s.served.CompareAndSwap(0, now.UnixNano())
	since := now.Sub(time.Unix(0, s.served.Load()))
	if since >= silentAfter && s.useless.CompareAndSwap(false, true) {
		logger.Warn("a DNS server gives no answers of use", "server", s.address, "err", refused)
	}
}

// Try asks each server once, and logs which of them do not answer or refuse to. It returns
// when all have answered, their time has ended, or the resolver was closed.
func (r *Resolver) Try() {
	for _, s := range r.servers.list(r.now()).all {
		m, err := r.askOne(r.ctx, s, newQuery(".", dns.TypeNS))
		if err == nil && m.Rcode != dns.RcodeSuccess {
			err = refusalOf(m.Rcode)
		}
		if r.ctx.Err() == nil && err != nil && !s.silent.Load() {
			r.servers.logger.Warn("a DNS server gives no answers of use", "server", s.address, "err", err)
		}
	}
}

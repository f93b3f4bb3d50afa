package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"sluice/gateway/resolver"
	"sluice/gateway/verify/txt"
)

// watchedDNS is what a message may look up, and keeps what it was answered.
type watchedDNS struct {
	lookups *resolver.Lookups

	mu   sync.Mutex
	done []lookupReport
}

// lookupReport is one question to the DNS and its answer.
type lookupReport struct {
	Type         string   `json:"type"`
	Name         string   `json:"name"`
	Answers      []string `json:"answers"`
	Error        string   `json:"error"`
	Milliseconds float64  `json:"ms"`
}

func watch[T any](w *watchedDNS, kind, name string, ask func() ([]T, error)) ([]T, error) {
	began := time.Now()
	found, err := ask()
	l := lookupReport{Type: kind, Name: name, Answers: []string{}}
	l.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
	for _, one := range found {
		l.Answers = append(l.Answers, fmt.Sprint(one))
	}
	if err != nil {
		l.Error = err.Error()
		var bare *net.DNSError
		if errors.As(err, &bare) {
			l.Error = bare.Err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, l)
	return found, err
}

// TXT implements verify.Resolver, as the other methods do.
func (w *watchedDNS) TXT(ctx context.Context, name string) ([]string, error) {
	return watch(w, "TXT", name, func() ([]string, error) { return w.lookups.TXT(ctx, name) })
}

// LookupTXT is the one of resolver.Lookups, which keeps no reason.
func (w *watchedDNS) LookupTXT(ctx context.Context, name string) ([]string, txt.Outcome) {
	texts, err := w.TXT(ctx, name)
	return texts, resolver.TextOutcome(err)
}

func (w *watchedDNS) A(ctx context.Context, name string) ([]netip.Addr, error) {
	return watch(w, "A", name, func() ([]netip.Addr, error) { return w.lookups.A(ctx, name) })
}

func (w *watchedDNS) AAAA(ctx context.Context, name string) ([]netip.Addr, error) {
	return watch(w, "AAAA", name, func() ([]netip.Addr, error) { return w.lookups.AAAA(ctx, name) })
}

func (w *watchedDNS) MX(ctx context.Context, name string) ([]net.MX, error) {
	return watch(w, "MX", name, func() ([]net.MX, error) { return w.lookups.MX(ctx, name) })
}

func (w *watchedDNS) PTR(ctx context.Context, address netip.Addr) ([]string, error) {
	return watch(w, "PTR", address.String(), func() ([]string, error) { return w.lookups.PTR(ctx, address) })
}

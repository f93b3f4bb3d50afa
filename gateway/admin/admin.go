// Package admin is the HTTP server of a gateway for metrics, health checks and searches.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"sluice/internal/panics"
)

// Server is the HTTP server for /metrics, /livez, /readyz and searches. It shares nothing
// with the event loops except what the metrics read.
type Server struct {
	listener net.Listener
	server   *http.Server
	failed   chan error // receives the error that ended it, unless that was Close
}

// Listen listens on admin.address.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin server (admin.address, SLUICE_ADMIN_ADDRESS, --admin): %w", err)
	}
	return listener, nil
}

// New returns a server that serves pages on listener until Close.
func New(listener net.Listener, pages Pages) *Server {
	a := &Server{listener: listener, failed: make(chan error, 1), server: &http.Server{
		Handler: recovered(pages.Handler()),
		// A scraper sends a short request and reads one page; anything slower is not a
		// scraper.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than scrape intervals, so that scrapers reuse the connection
		MaxHeaderBytes:    16 << 10,
	}}
	go func() {
		err := panics.Try(panics.Admin, func() error { return a.server.Serve(listener) })
		if !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("admin server: %w", err)
		}
	}()
	return a
}

// recovered answers 500 after a panic in h.
func recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := panics.Try(panics.Admin, func() error {
			h.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			page(w, http.StatusInternalServerError, "panicked: see the log")
		}
	})
}

// Pages are what the server serves.
type Pages struct {
	Metrics http.Handler
	// Ready reports whether load balancers may send connections, and the reason.
	Ready func() (ready bool, why string)
	// Reload reads the configuration anew; nil answers 403.
	Reload func(context.Context) error
	// Console has every other page: searches for mail. It checks by itself who asks. Nil is
	// for a server without them.
	Console http.Handler
}

// Handler returns the handler of all pages.
func (p Pages) Handler() http.Handler {
	pages := http.NewServeMux()
	pages.Handle("GET /metrics", p.Metrics)
	pages.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, "alive")
	})
	pages.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		is, why := p.Ready()
		if !is {
			page(w, http.StatusServiceUnavailable, why)
			return
		}
		page(w, http.StatusOK, why)
	})
	pages.HandleFunc("POST /-/reload", p.reload)
	if p.Console != nil {
		pages.Handle("/", p.Console)
		return pages
	}
	pages.HandleFunc("GET /{$}", Hint)
	return pages
}

// Hint answers with the pages that there always are.
func Hint(w http.ResponseWriter, _ *http.Request) {
	page(w, http.StatusOK, "Sluice: /metrics /livez /readyz")
}

// reload reloads the configuration, but not for a page in somebody's browser, which sends
// its origin.
func (p Pages) reload(w http.ResponseWriter, r *http.Request) {
	if p.Reload == nil || r.Header.Get("Origin") != "" {
		page(w, http.StatusForbidden, "reload is allowed where admin.address is on loopback; elsewhere send SIGHUP")
		return
	}
	if err := p.Reload(r.Context()); err != nil {
		page(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	page(w, http.StatusOK, "reloaded")
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the client may be gone
}

// Addr returns the address that the server listens on. If the configuration has port 0,
// it has the actual port.
func (a *Server) Addr() string { return a.listener.Addr().String() }

// Failed returns a channel that receives the error if the server ends by itself. net/http
// retries after transient errors such as EMFILE, so those do not end it.
func (a *Server) Failed() <-chan error { return a.failed }

// Close closes the server and its connections.
func (a *Server) Close() error { return a.server.Close() }

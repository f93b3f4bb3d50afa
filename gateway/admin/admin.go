// Package admin is the HTTP server of a gateway for metrics and health.
package admin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Server is the HTTP server for /metrics, /livez and /readyz. It shares nothing with the
// event loops but the values that metrics read.
type Server struct {
	listener net.Listener
	server   *http.Server
	failed   chan error // gets why it ended, unless that was Close
}

// Listen listens on admin.address.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin server (admin.address, SLUICE_ADMIN_ADDRESS, --admin): %w", err)
	}
	return listener, nil
}

// New returns a server that serves on listener until Close. metrics answers
// /metrics. ready reports whether balancers may send connections, and why or why not.
func New(listener net.Listener, metrics http.Handler, ready func() (ready bool, why string)) *Server {
	a := &Server{listener: listener, failed: make(chan error, 1), server: &http.Server{
		Handler: Pages(metrics, ready),
		// A scraper sends a short request and reads one page. A client that takes longer
		// is no scraper.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than scrape intervals are, so that they reuse the connection
		MaxHeaderBytes:    16 << 10,
	}}
	go func() {
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.failed <- fmt.Errorf("admin server: %w", err)
		}
	}()
	return a
}

// Pages returns the handler of the server's pages.
func Pages(metrics http.Handler, ready func() (bool, string)) http.Handler {
	pages := http.NewServeMux()
	pages.Handle("GET /metrics", metrics)
	pages.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, "alive")
	})
	pages.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		is, why := ready()
		if !is {
			page(w, http.StatusServiceUnavailable, why)
			return
		}
		page(w, http.StatusOK, why)
	})
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		page(w, http.StatusOK, "Sluice: /metrics /livez /readyz")
	})
	return pages
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the client may be gone
}

// Addr returns the address that it listens on, which the configuration leaves open with
// port 0.
func (a *Server) Addr() string { return a.listener.Addr().String() }

// Failed returns a channel that gets the error by which the server ended by itself. An
// error that may pass, such as EMFILE, is retried by net/http and does not end it.
func (a *Server) Failed() <-chan error { return a.failed }

// Close ends the server and its connections.
func (a *Server) Close() error { return a.server.Close() }

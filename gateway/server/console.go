package server

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"sluice/gateway/adapters"
	"sluice/gateway/admin"
	"sluice/gateway/config"
	"sluice/gateway/console"
)

// newConsole returns the pages for searches, on a server that listens at an address.
// current returns the present configuration, and answered sees each answer.
func newConsole(
	current func() *config.Config, searches *adapters.Searches, at net.Addr, answered func(*http.Request, int),
) (http.Handler, error) {
	reader, err := adapters.OpenReader(current())
	if err != nil {
		return nil, err
	}
	bound := boundAddress(at)
	token := func() string { return current().Admin.Token.Reveal() }
	pages := console.Handler(console.Options{
		Store: searches, Open: reader.OpenMessage, Token: token, Now: time.Now,
		Hosts:    func(host string) bool { return isOwn(host, bound, current().Hostname) },
		Answered: answered,
	})
	if bound.IsLoopback() {
		return pages, nil
	}
	return withToken(pages, token), nil
}

// consoleAnswers returns what counts the answers of the console, and logs tokens that were
// wrong. All guessers have one line a minute, with the number of attempts since the last.
func consoleAnswers(count func(status int), logger *slog.Logger) func(*http.Request, int) {
	var wrong minutely
	return func(r *http.Request, status int) {
		count(status)
		if status != http.StatusTooManyRequests && (status != http.StatusUnauthorized || r.Header.Get("Authorization") == "") {
			return
		}
		if n := wrong.add(time.Now()); n > 0 {
			logger.Warn("a client of the admin server has a wrong token", "client", r.RemoteAddr, "attempts", n)
		}
	}
}

func boundAddress(at net.Addr) netip.Addr {
	if tcp, ok := at.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// withToken hides pages for as long as there is no token: others than users of this machine
// reach them.
func withToken(pages http.Handler, token func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case token() != "":
			pages.ServeHTTP(w, r)
		case r.URL.Path == "/":
			admin.Hint(w, r)
		default:
			http.Error(w, "Where admin.address is not on loopback, searches for mail need admin.token_file.", http.StatusForbidden)
		}
	})
}

// isOwn reports whether a request is for this server: for the address that it listens on, or
// any if it listens on all, or for its name. A foreign page can make its own name resolve to
// this server, and be asked by the browser for its pages.
func isOwn(host string, bound netip.Addr, hostname string) bool {
	if host == "localhost" {
		return true // nobody can make it resolve to elsewhere
	}
	if !bound.IsLoopback() && strings.EqualFold(host, hostname) {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && (bound.IsUnspecified() || address.Unmap() == bound)
}

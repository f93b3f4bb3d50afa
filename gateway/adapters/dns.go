package adapters

import (
	"log/slog"

	"sluice/gateway/config"
	"sluice/gateway/resolver"
	"sluice/internal/panics"
)

// OpenResolver opens the DNS client for verification. Each of its servers is asked once
// beside the start: one that does not answer is a warning, and does not stop it.
func OpenResolver(c *config.Config, observer resolver.Observer, logger *slog.Logger) (*resolver.Resolver, error) {
	r, err := resolver.New(resolver.Options{
		Servers: c.DNS.Resolvers, Timeout: c.DNS.Timeout, CacheBytes: int64(c.DNS.Cache), Sockets: c.DNSSockets(),
		Observer: observer, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	logger.Info("DNS servers are asked for the verification of mail", "servers", r.Servers())
	go panics.Keep(panics.Resolve, r.Try)
	return r, nil
}

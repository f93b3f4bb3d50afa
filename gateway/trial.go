package main

import (
	"fmt"

	"sluice/gateway/certificates"
	"sluice/gateway/config"
)

// tryTLS returns the configuration of a gateway that somebody tries out, which offers
// STARTTLS with a certificate made for it, and its sources. Any other is returned as it is.
// A certificate that cannot be made is no reason not to serve.
func (a app) tryTLS(c config.Config, from config.Sources) (config.Config, config.Sources) {
	dir, wanted := c.WantsTrialTLS()
	if !wanted {
		return c, from
	}
	pair, err := certificates.Trial(dir, []string{c.Hostname, "localhost", "127.0.0.1", "::1"})
	if err == nil {
		more := c.WithTrialTLS(from, pair)
		var tried config.Config
		if tried, err = config.Load(more, config.ForServe); err == nil {
			return tried, more
		}
	}
	fmt.Fprintln(a.err, "warning: no TLS, as there is no certificate for trying out:", err)
	return c, from
}

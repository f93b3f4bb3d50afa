package strain

import (
	"fmt"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// throttle puts toxiproxy before a server: each connection carries so many octets
// a second to it.
func throttle(upstream string, rate int64) (*toxiproxy.Proxy, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // its toxics log where nobody can tell them to
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(control, "store", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, err
	}
	toxic := fmt.Sprintf(`{"type": "bandwidth", "stream": "upstream", "attributes": {"rate": %d}}`, rate/1000)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

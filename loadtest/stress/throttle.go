package stress

import (
	"fmt"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// narrow is a toxic that lets so many bytes a second through, all connections
// together: toxiproxy's own bandwidth is for each connection, so that few of them
// would be slower than the store that is meant.
type narrow struct {
	Rate int64 `json:"rate"` // bytes a second

	mu   sync.Mutex
	free time.Time // when all that was let through until now has passed
}

const narrowName = "narrow"

func init() { toxics.Register(narrowName, new(narrow)) }

// Pipe passes on what comes when its turn has come.
func (n *narrow) Pipe(stub *toxics.ToxicStub) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case chunk := <-stub.Input:
			if chunk == nil {
				stub.Close()
				return
			}
			turn := time.NewTimer(time.Until(n.pass(len(chunk.Data))))
			select {
			case <-turn.C:
				stub.Output <- chunk
			case <-stub.Interrupt: // nothing may be dropped
				turn.Stop()
				stub.Output <- chunk
				return
			}
		}
	}
}

// pass says when so many bytes have passed.
func (n *narrow) pass(octets int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := time.Now(); n.free.Before(now) {
		n.free = now
	}
	n.free = n.free.Add(time.Duration(octets) * time.Second / time.Duration(n.Rate))
	return n.free
}

// throttle puts toxiproxy before a server: so many bytes a second go to it.
func throttle(upstream string, rate int64) (*toxiproxy.Proxy, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // its toxics log where nobody can tell them to
	control := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(control, "store", "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, err
	}
	toxic := fmt.Sprintf(`{"type": %q, "stream": "upstream", "attributes": {"rate": %d}}`, narrowName, rate)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

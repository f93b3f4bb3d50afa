package sim

import (
	"math/rand/v2"
	"time"

	"sluice/gateway/driver"
	"sluice/gateway/session"
)

// plan is what a seed decides before anything happens: the size of the world and
// how often each fault strikes, in thousandths.
type plan struct {
	loops, senders, letters int
	parts                   bool
	lanes                   int // that pack small messages, 0 for none
	budget                  int64
	rate                    int64
	connections             int
	front                   bool // clients come through a load balancer
	unnamed                 int  // connections of a loop that may wait for their PROXY header
	reload                  int
	secure, implicit        bool // clients speak TLS, from the first byte on
	broken                  int
	chaos                   time.Duration // how long faults strike

	storeError, storeLate, partError     int
	logError, logLate, early             int
	fin                                  int // bytes between which a client may stop sending
	reset, deaf, stall, kill, term, shed int
	pause, noPause, impatient, out       int
	ahead                                int // commands that a client may send ahead
	calls                                int // slow work between commands
	silent, topic                        int
	auth                                 bool // clients authenticate before they send
	wrong                                int  // passwords and tokens
	verify                               bool // mail is verified before it is stored
}

const (
	tickLength   = 100 * time.Millisecond
	messageLimit = 64 << 10
	partSize     = 8 << 10
	refusals     = 8 // of recipients and messages, between two that are accepted
	// slack is how much later than its deadline something may be noticed: the
	// grain of the wheel, a loop that stood still, and a wake-up on its way.
	slack    = maxPause + 500*time.Millisecond
	maxPause = time.Second
)

// timeouts are short, so that a minute of the world holds many of each.
var timeouts = driver.Timeouts{
	Proxy: 5 * time.Second, Handshake: 4 * time.Second, Greeting: 4 * time.Second, Command: 5 * time.Second, DataStart: 3 * time.Second,
	DataBlock: 3 * time.Second, Credit: 2 * time.Second, Store: 2 * time.Second,
	Message: 5 * time.Second, Stall: 3 * time.Second, Auth: 2 * time.Second,
}

func newPlan(r *rand.Rand) plan {
	often := func(most int) int { // a fault is absent from a third of all worlds
		return max(0, r.IntN(most*3/2)-most/2)
	}
	p := plan{
		loops: 1 + r.IntN(3), senders: 2 + r.IntN(14), letters: 2 + r.IntN(8),
		parts: r.IntN(3) > 0, lanes: [...]int{0, 1, 1, 2}[r.IntN(4)], connections: 3 + r.IntN(30),
		chaos:      time.Duration(5+r.IntN(40)) * time.Second,
		storeError: often(150), storeLate: often(60), partError: often(100),
		logError: often(150), logLate: often(60), early: often(300),
		reset: often(20), deaf: often(60), stall: often(30),
		kill: often(12), term: often(8), shed: often(300), pause: often(20), noPause: often(80), impatient: often(60), out: often(8),
		ahead: 12,
	}
	// Enough for one message of any size, and seldom for all.
	p.budget = driver.LeastMemory(messageLimit, p.partSize()) + int64(r.IntN(512<<10))
	if r.IntN(3) == 0 {
		p.ahead = 300
	}
	p.rate = int64(r.IntN(2) * 100)
	p.fin = often(40)
	p.silent, p.topic = often(20), often(8)
	return p
}

// partSize is that of the store, 0 when it takes messages whole.
func (p *plan) partSize() int64 {
	if !p.parts {
		return 0
	}
	return partSize
}

func (p *plan) listener() *driver.Listener {
	at := &driver.Listener{Settings: p.settings(hosts[0])}
	if p.front {
		throughFront(at)
	}
	at.ImplicitTLS = p.secure && p.implicit
	p.takeUsers(at)
	return at
}

func (p *plan) settings(host string) *session.Settings {
	limits := session.Limits{
		MessageSize: messageLimit, Recipients: 20, CommandErrors: 5, RecipientErrors: refusals, JunkCommands: 3 * p.ahead,
		Messages: 20, ReceivedHeaders: 100,
	}
	accept := session.AcceptDomains([]string{"example.net", "*.example.net"})
	return p.authSettings(p.secureSettings(session.NewSettings(host, limits, accept)))
}

func (p *plan) options() driver.Options {
	bodies, parts := driver.Budgets(p.budget, p.partSize(), 1+p.loops)
	return driver.Options{
		MessageSize: messageLimit,
		Admission:   driver.AdmissionLimits{Connections: p.connections, Refused: 4, Unnamed: p.unnamed},
		Generation:  driver.Generation{Timeouts: timeouts, MinDataRate: p.rate, Verdict: verdictTime},
		Budget:      bodies,
		Parts:       parts,
		SlabsKept:   256 << 10,
	}
}

package driver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"sluice/gateway/session"
	"sluice/pipeline"
)

// Timeouts are the deadlines of a session's phases.
type Timeouts struct {
	Proxy     time.Duration // to the end of a PROXY header
	Handshake time.Duration // to the end of a handshake of TLS
	Auth      time.Duration // for the answer to an attempt to authenticate
	Greeting  time.Duration // to the first HELO or EHLO (RFC 5321 §4.5.3.2.1)
	Command   time.Duration // to the next command (§4.5.3.2.7)
	DataStart time.Duration // from 354 to the first mail text (§4.5.3.2.4)
	DataBlock time.Duration // to the next piece of mail text (§4.5.3.2.5)
	Credit    time.Duration // for body memory, before 354
	Store     time.Duration // for the object store
	Message   time.Duration // from the final dot to its answer (§4.5.3.2.6)
	Stall     time.Duration // for a client that does not read its replies
}

// Listener is what the sessions of one listening socket have in common. Whoever accepts
// a connection names it. It does not change.
type Listener struct {
	// Settings are those of its sessions, unless the generation has others.
	Settings *session.Settings
	// Proxy requires a PROXY header at the start of each connection. It may come from
	// ProxyNetworks alone.
	Proxy         bool
	ProxyNetworks []netip.Prefix
	// ImplicitTLS has TLS begin with the connection, behind the PROXY header.
	ImplicitTLS bool
	// Submission has sessions shed at MAIL and not at the greeting: only then is it known
	// whose they are.
	Submission bool
	// XclientNetworks are those of proxies that may name their client by XCLIENT.
	XclientNetworks []netip.Prefix
}

// trusts reports whether an address is in one of the networks.
func trusts(networks []netip.Prefix, address netip.Addr) bool {
	address = address.Unmap()
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// Options are what a Shared is made of.
type Options struct {
	// MessageSize is the size of the largest message that any listener takes.
	MessageSize int64

	Generation // the first one
	Admission  AdmissionLimits
	Budget     *pipeline.Budget
	// Parts is the budget of the parts of large messages, from the second on. It is
	// used only when the store takes parts.
	Parts     *pipeline.Budget
	Committer *pipeline.Committer
	Clock     Clock
	Observer  Observer
	MailLog   MailLog
	// Gate sheds sessions under pressure; nil sheds none.
	Gate Gate
	// Authenticator judges credentials; nil where no listener offers AUTH.
	Authenticator Authenticator
	// Security is TLS; nil where no listener has it.
	Security Security
	// Verifier verifies the mail of strangers; nil for none.
	Verifier pipeline.Verifier
	// SlabsKept bounds the bytes of free slabs that each loop keeps.
	SlabsKept int64
}

// Shared is what all loops of the process have in common: settings that do not
// change, and counts that are atomic.
type Shared struct {
	Options
	generation atomic.Pointer[Generation]
	admission  admission
	epoch      time.Time
	sessions   atomic.Uint32 // the last id of a session
	// parts is the object store if it takes messages in parts, nil else.
	parts pipeline.PartStore
	// firstCredit bounds the body memory of a message before 354: that of its first
	// part where the store takes parts, else that of the whole message.
	firstCredit int64
	partCredit  int64        // the memory of one part
	partsOut    atomic.Int64 // of the part budget, what the store reads
	// creditHome is the loop that owns the credit pools: the first one there is.
	creditHome  *Loop
	bodyCredits *creditPool
	partCredits *creditPool // nil unless the store takes parts
}

// NewShared returns the state that the loops of a process share.
func NewShared(o Options) *Shared {
	s := &Shared{Options: o, epoch: o.Clock.Now().Add(-tickLength)}
	s.sessions.Store(uint32(s.epoch.UnixNano())) // not those of the process before
	s.Reload(o.Generation)
	s.Generation = Generation{} // nobody shall read the first one for the present one
	s.admission.limits = o.Admission
	s.firstCredit = mostCredit(o.MessageSize, 0)
	if parts, ok := o.Committer.Store.(pipeline.PartStore); ok {
		s.takeParts(parts)
	}
	s.admission.addresses = newAddressCounts()
	return s
}

func (s *Shared) takeParts(parts pipeline.PartStore) {
	s.parts, s.partCredit = parts, partCredit(parts.PartSize())
	s.firstCredit = mostCredit(s.MessageSize, parts.PartSize())
}

// nextSession returns the id of a new session.
func (s *Shared) nextSession() session.ID { return session.ID(s.sessions.Add(1)) }

// SessionsOpen returns the number of sessions open now.
func (s *Shared) SessionsOpen() int64 { return s.admission.open.Load() }

// Located returns the number of sessions that are counted by address, for tests.
func (s *Shared) Located() int64 { return s.admission.addresses.sum() }

// Refuse makes every later connection be answered 421: the process shuts down.
func (s *Shared) Refuse() { s.admission.draining.Store(true) }

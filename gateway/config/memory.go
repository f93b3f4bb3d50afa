package config

import (
	"fmt"
	"slices"
	"strings"

	"sluice/gateway/driver"
	"sluice/gateway/resolver"
)

// What the process takes beside what the keys say, in bytes. docs/memory.md has the model
// and how it was measured.
const (
	memoryOfProgram = 64 * MiB // with the clients of store and log
	// memoryOfSession is that of a session with an envelope that is just too short to be
	// counted, and with a command line that is not complete.
	memoryOfSession = 9 * KiB
	// memoryOfTLS is what a record of the largest size takes of which the last byte has
	// not come, and the record layer.
	memoryOfTLS = 16 * KiB
	// memoryOfHandshake is that of a TLS handshake that waits for its peer, with 4 KiB of
	// records. It may bring up to 64 KiB of them, or 128 KiB with a client's certificate.
	memoryOfHandshake = 36 * KiB
	// memoryOfAuth is a line of AUTH that is not complete, of a session that may send one.
	memoryOfAuth = 12 * KiB
	// memoryOfAttempt is that of an attempt to authenticate, and its request to a server.
	memoryOfAttempt = 48 * KiB
	// memoryOfVerified is what is kept of a message whose verification waits for its turn to
	// look up, and memoryOfLookups the stacks of all look-ups that have it.
	memoryOfVerified = 8 * KiB
	memoryOfLookups  = 32 * MiB
	// memoryOfIndex is what filling the index takes in a gateway: batches, messages that are
	// read, the database.
	memoryOfIndex = 128 * MiB
	// memoryOfStalled is the replies of a session whose client does not read, in the heap.
	memoryOfStalled = 16 * KiB
	// memoryOfSender is the budget of a sender that is paused in the middle of a message,
	// which counts as 256 KiB at least; all together have three quarters.
	memoryOfSender = 256 * KiB * 4 / 3
)

// memoryPart is a part of the memory that the process may take when everything is used
// up at once.
type memoryPart struct {
	text  string
	bytes Size
}

// memoryParts returns the parts of the memory, those of the kernel's socket buffers
// included. The kernel takes twice the size that is set for a buffer.
func (c *Config) memoryParts() []memoryPart {
	bodies := Size(c.BodyMemory())
	senders := min(Size(c.Limits.Connections), bodies/memoryOfSender)
	stalled := Size(min(c.Limits.Connections, c.Limits.StalledSessions))
	parts := []memoryPart{
		{"memory.bodies and a sixteenth for free slabs", bodies + bodies/16},
		{fmt.Sprintf("limits.connections %d × %s", c.Limits.Connections, memoryOfSession), Size(c.Limits.Connections) * memoryOfSession},
		{"the program, store and log", memoryOfProgram + Size(c.KindMemory())},
		{fmt.Sprintf("%d senders that wait for memory × 2 × socket.receive_buffer %s", senders, c.Socket.ReceiveBuffer),
			senders * 2 * c.Socket.ReceiveBuffer},
		{fmt.Sprintf("limits.stalled_sessions %d × 2 × (socket.send_buffer %s + socket.receive_buffer %s)",
			stalled, c.Socket.SendBuffer, c.Socket.ReceiveBuffer),
			stalled * (2*(c.Socket.SendBuffer+c.Socket.ReceiveBuffer) + memoryOfStalled)},
	}
	if tls := c.TLSMemory(int64(c.Limits.Connections)); tls > 0 {
		parts = append(parts, memoryPart{
			fmt.Sprintf("TLS: limits.connections %d × %s + tls.handshakes %d × %s", c.Limits.Connections, memoryOfTLS, c.TLS.Handshakes, memoryOfHandshake),
			Size(tls),
		})
	}
	if c.OffersAuth() {
		parts = append(parts, memoryPart{
			fmt.Sprintf("AUTH: limits.connections %d × %s + auth.attempts %d × %s", c.Limits.Connections, memoryOfAuth, c.Auth.Attempts, memoryOfAttempt),
			Size(c.Limits.Connections)*memoryOfAuth + Size(c.Auth.Attempts)*memoryOfAttempt,
		})
	}
	if c.Verify.Enabled {
		parts = append(parts, memoryPart{
			fmt.Sprintf("verification: limits.connections %d × %s + look-ups %s + dns.cache %s + questions %d × %s",
				c.Limits.Connections, memoryOfVerified, memoryOfLookups, c.DNS.Cache, resolver.MaxInFlight, memoryOfQuestion),
			Size(c.VerifyMemory(int64(c.Limits.Connections))),
		})
	}
	if c.IndexesItself() {
		parts = append(parts, memoryPart{"the index", memoryOfIndex})
	}
	if c.users != nil {
		at := Size(HashesAtOnce())
		parts = append(parts, memoryPart{fmt.Sprintf("%d hashes of passwords × 2 × %s", at, Size(c.users.Memory())), at * 2 * Size(c.users.Memory())})
	}
	if c.Store.Packing == PackingAuto {
		lanes, text := Size(c.Store.Pack.Lanes), fmt.Sprintf("store.pack.lanes %d", c.Store.Pack.Lanes)
		if c.Store.kind().spareLanes {
			lanes, text = 2*lanes, "2 × "+text
		}
		parts = append(parts, memoryPart{fmt.Sprintf("%s × store.pack.max_bytes %s", text, c.Store.Pack.MaxBytes), lanes * c.Store.Pack.MaxBytes})
	}
	return parts
}

// TLSMemory returns the most bytes that TLS takes of the heap beside so many sessions, 0
// if no listener has it.
func (c *Config) TLSMemory(sessions int64) int64 {
	if !slices.ContainsFunc(c.Listeners, ListenerConfig.hasTLS) {
		return 0
	}
	return sessions*int64(memoryOfTLS) + int64(c.TLS.Handshakes)*int64(memoryOfHandshake)
}

// VerifyMemory returns the most bytes that verification takes of the heap beside so many
// sessions, 0 if it is off.
func (c *Config) VerifyMemory(sessions int64) int64 {
	if !c.Verify.Enabled {
		return 0
	}
	return sessions*int64(memoryOfVerified) + int64(memoryOfLookups) + c.DNSMemory()
}

// IndexMemory returns the most bytes that filling the index takes in this process, 0 if
// others fill it.
func (c *Config) IndexMemory() int64 {
	if !c.IndexesItself() {
		return 0
	}
	return int64(memoryOfIndex)
}

// memoryNeed returns the sum of memoryParts.
func (c *Config) memoryNeed() (sum Size) {
	for _, p := range c.memoryParts() {
		sum += p.bytes
	}
	return sum
}

// warnMemory returns a warning when all that the configuration allows at once does not fit
// in the memory, "" else.
func (c *Config) warnMemory() string {
	need, limit := c.memoryNeed(), Size(c.machine.Memory)
	if limit == 0 || need <= limit {
		return ""
	}
	var parts []string
	for _, p := range c.memoryParts() {
		parts = append(parts, p.text+" = "+roughly(int64(p.bytes)))
	}
	return fmt.Sprintf("under attack the process may need %s of memory, and the limit is %s: %s; %s (docs/memory.md)",
		roughly(int64(need)), roughly(int64(limit)), strings.Join(parts, ", "), c.mendMemory(limit))
}

// warnImpatient returns a warning when one message of the largest size takes more than three
// quarters of the budget, "" else.
func (c *Config) warnImpatient() string {
	least := (driver.PatientMemory(int64(c.Limits.MessageSize), c.Parts().Size) + int64(MiB) - 1) / int64(MiB) * int64(MiB)
	if c.machine.Memory == 0 || c.BodyMemory() >= least {
		return ""
	}
	return fmt.Sprintf("memory.bodies is %s: a message of limits.message_size uses most of it, and slow senders of such messages are told 452; with %s they are not (docs/memory.md)",
		roughly(c.BodyMemory()), roughly(least))
}

// mendMemory says what makes the sum fit: a smaller receive buffer, else a smaller budget
// as well, else more memory.
func (c *Config) mendMemory(limit Size) string {
	const leastBuffer = 32 * KiB // less would make large mail slow
	less := *c
	var set []string
	if less.Socket.ReceiveBuffer > leastBuffer {
		for less.memoryNeed() > limit && less.Socket.ReceiveBuffer > leastBuffer {
			less.Socket.ReceiveBuffer = max(leastBuffer, less.Socket.ReceiveBuffer/2/KiB*KiB)
		}
		set = append(set, c.Setting("socket.receive_buffer", less.Socket.ReceiveBuffer.String()))
	}
	if over := less.memoryNeed() - limit; over > 0 {
		bodies := (Size(less.BodyMemory()) - over) / MiB * MiB
		less.Memory.Bodies = Share{Octets: bodies}
		if bodies <= 0 || checkBodies(&less) != nil || less.memoryNeed() > limit {
			return "give it " + roughly(int64(c.memoryNeed())+int64(MiB)) + ", or lower limits.connections and memory.bodies"
		}
		set = append(set, c.Setting("memory.bodies", bodies.String()))
	}
	return "set e.g. " + strings.Join(set, " and ")
}

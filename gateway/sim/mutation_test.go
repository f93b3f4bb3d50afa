package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutation is a fault in the product's own code that the simulator must find: a
// text that stands once in a file, and what is put in its place.
type mutation struct {
	name, file string
	old, new   string
	found      string // what the simulator must say, or any of several, between |
}

var mutations = []mutation{
	{"250 before the event is acknowledged", "pipeline/commit.go",
		"i < len(way)", "i < len(way)-1", "has no event"},
	{"the object of an event that may be in the log is removed", "pipeline/commit.go",
		"return HadNoEffect(m.Result.Err)", "return m.Result.Err != nil", "has no object"},
	{"a lost wake-up", "gateway/driver/inbox.go",
		"for l.inbox.RunAll() > 0 {\n\t\t}", "l.inbox.RunAll()\n\t\tif l.inbox.Empty() || true {\n\t\t\tl.awake.Store(false)\n\t\t\treturn\n\t\t}", "nobody woke it"},
	{"credit not returned when the client is gone", "gateway/driver/messages.go",
		"l.shared.Budget.Give(credit)", "if !m.Detached() {\n\t\t\tl.shared.Budget.Give(credit)\n\t\t}", "octets of credit that are out"},
	{"credit granted to nobody and kept", "pipeline/credit.go",
		"r.Queue.budget.Give(r.Bytes)", "", "credit that are out|not every message was delivered"},
	{"a reply overtakes another", "gateway/driver/output.go",
		"case c.unsent != nil:\n\t\tc.unsent.bytes", "case false:\n\t\tc.unsent.bytes", "due was|never had its reply"},
	{"a reply is forgotten", "gateway/driver/output.go",
		"l.out = r.Append(l.out, host, arg)", "if r != codec.ReplyRecipientOk || l.now.Nanosecond()%5 != 0 {\n\t\tl.out = r.Append(l.out, host, arg)\n\t}", "due was|while all was well"},
	{"a connection is resumed twice", "gateway/driver/pause.go",
		"\t\tc.paused = false\n", "", "resumed twice"},
	{"a pause that never ends", "gateway/driver/pause.go",
		"\t\tif c.paused {\n\t\t\tl.resumeReading(c)", "\t\tif c.paused && c.carried == 0 {\n\t\t\tl.resumeReading(c)", "nothing is waited for"},
	{"a half-closed client is taken for gone", "gateway/driver/loop.go",
		"return !c.finished && !c.lingering && c.waiting()", "return false", "half-closed and never had its reply"},
	{"a half-closed session that never ends", "gateway/driver/close.go",
		"c.inputOver() && !c.waiting()", "false", "waited for behind its end"},
	{"a timer left armed", "gateway/driver/close.go",
		"l.wheel.remove(c)", "", "in the wheel"},
	{"a slab freed while the store reads it", "gateway/driver/step.go",
		"l.shared.Committer.Commit(m, l.now)", "l.shared.Committer.Commit(m, l.now)\n\tm.Body.Release(l.slabs)", "a slab|its sender sent|another digest"},
	{"a multipart upload not aborted", "gateway/driver/parts.go",
		"l.shared.parts.Abort(m.Parts.Upload)", "", "uploads that are pending"},
	{"a failed part taken for stored", "gateway/driver/parts.go",
		"m.Result.Err = err", "_ = err", "its sender sent"},
	{"all messages of a pack at the place of the first", "pipeline/pack/pack.go",
		"m.Stored(p.blobs[i], p.sums[i], nil)", "m.Stored(p.blobs[i*0], p.sums[i], nil)", "points at|another digest|in its pack differ"},
	{"a message of a failed pack without an answer", "pipeline/pack/pack.go",
		"for _, m := range p.messages {\n\t\tm.Stored(pipeline.Blob{}, pipeline.Digest{}, err)", "for _, m := range p.messages[1:] {\n\t\tm.Stored(pipeline.Blob{}, pipeline.Digest{}, err)", "octets of credit that are out"},
	{"a failed pack taken for stored", "pipeline/pack/pack.go",
		"m.Stored(pipeline.Blob{}, pipeline.Digest{}, err)", "m.Stored(pipeline.Blob{Store: \"sim\", Key: m.ID.String()}, pipeline.Digest{}, nil)", "no object|another digest"},
	{"a pack's octets are counted from its headers", "pipeline/pack/pack.go",
		"blob.Offset = p.size", "blob.Offset = p.size - blockSize", "leads elsewhere"},
	{"a pack without paddings", "pipeline/pack/tar.go",
		"tail > 0", "tail > 256", "cannot be read"},
	{"a budget without a limit", "pipeline/budget.go",
		"used+n > b.limit", "used > b.limit", "budget of"},
	{"a session that is not counted out", "gateway/driver/admission.go",
		"\t\tc.counted = false\n\t\ta.open.Add(-1)\n", "\t\tc.counted = false\n", "count of admission|not every message was delivered"},
	{"an address that is not counted out", "gateway/driver/admission.go",
		"a.addresses.drop(c.cells)", "", "counts of addresses"},
	{"a client behind a load balancer has the balancer's address", "gateway/driver/proxy.go",
		"c.session.Name(h.Source,", "c.session.Name(c.session.Client(),", "has another origin"},
	{"connections without a PROXY header take all", "gateway/driver/proxy.go",
		"len(l.unnamed) - most;", "len(l.unnamed) - most - 1;", "wait for their PROXY header"},
	{"who was named counts on as one who waits", "gateway/driver/proxy.go",
		"\tl.forgetUnnamed(c)\n\tif h", "\tc.unnamed = false\n\tif h", "wait for their PROXY header"},
	{"a reload changes sessions between EHLO and EHLO", "gateway/session/session.go",
		"s.settings = newest", "*s.settings = *newest", "has another origin"},
	{"records are opened although the session waits", "gateway/driver/tls.go",
		"if s.closed || c.waiting() ||", "if s.closed ||", "are opened and wait"},
	{"text that the session did not take is forgotten", "gateway/driver/tls.go",
		"s.text = append(s.text[:0], text...)", "s.text = nil", "due was|while all was well|its sender sent"},
	{"what came with the end of a handshake is forgotten", "gateway/driver/handshake.go",
		"text, err := s.records.Open(nil, nil)", "text, err := []byte(nil), error(nil)", "sent an alert"},
	{"a reply in plain text behind the handshake", "gateway/driver/output.go",
		"out = l.seal(c, out)", "_ = l.seal(c, out)", "bad record"},
	{"replies that the kernel did not take are sealed again", "gateway/driver/output.go",
		"n, err := c.write(left)", "if c.tls.established() {\n\t\tleft = c.tls.records.Seal(nil, left)\n\t}\n\tn, err := c.write(left)", "bad record"},
	{"a handshake that nobody waits for is forgotten", "gateway/driver/handshake.go",
		"\t\tif !h.Done {\n\t\t\th.Gone", "\t\tif false {\n\t\t\th.Gone", "handshakes that are not home"},
	{"a handshake is not told that nobody waits for it", "gateway/driver/handshake.go",
		"l.shared.Security.Drop(h)\n", "_ = h\n", "computes for nobody"},
	{"a handshake without a deadline", "gateway/driver/tls.go",
		"l.setDeadline(c, l.generation.Timeouts.Handshake)", "", "in the wheel|while all was well|after a quiet time"},
	{"input is taken while a handshake computes", "gateway/driver/handshake.go",
		"if s.away || c.unsent != nil", "if c.unsent != nil", "bad record|panic|bad handshake|handshakes"},
	{"a text that others may read in another way is taken", "gateway/driver/pump.go",
		"m.Decoder.Ambiguous() &&", "false &&", "due was"},
	{"commands behind such a text are executed", "codec/replies.go",
		"EnhancedCode{5, 6, 0}, Close: true,", "EnhancedCode{5, 6, 0},", "had asked nothing|due was"},
	{"refusals without end", "gateway/session/errors.go",
		"s.refusals++", "_ = s.refusals", "got its refusal"},
	{"no deadline while a message waits for memory", "gateway/driver/credit.go",
		"l.setDeadline(c, l.generation.Timeouts.Credit)", "", "credit"},
	{"memory stays with those who do not get on", "gateway/driver/loop.go",
		"l.relieve()", "", "not every message was delivered|waited in vain"},
	{"a message left over by a full pack is forgotten", "pipeline/pack/worker.go",
		"\t\t\treturn &next\n", "\t\t\treturn nil\n", "after a quiet time"},
	{"a lane that is done is still counted as busy", "pipeline/pack/worker.go",
		"b.busy.Add(-1)", "", "lanes are busy"},
	{"a pack has the deadline of its youngest message", "pipeline/pack/worker.go",
		"oldest := w.putTimes[0]", "oldest := w.putTimes[len(w.putTimes)-1]", "after its deadline"},
	{"a pack that is split without its last message", "pipeline/pack/worker.go",
		"for i, m := range w.pack.Messages() {", "for i, m := range w.pack.Messages()[1:] {", "after a quiet time"},
	{"only the first recipient is announced", "pipeline/envelope.go",
		"return max(len(e.ends)-1, 0)", "return min(max(len(e.ends)-1, 0), 1)", "has another origin"},
	{"a recipient is announced as part of the sender", "pipeline/envelope.go",
		"return e.text[:e.ends[0]]", "return e.text[:e.ends[len(e.ends)/2]]", "has another origin"},
	{"what a client declared is not announced", "gateway/session/transaction.go",
		"m.Envelope.Body, m.Envelope.SizeDeclared, m.Envelope.RequireTLS = params.Body, params.Size, params.RequireTLS", "m.Envelope.Body = params.Body", "has another origin"},
	{"the events of a pack are not those of the log", "pipeline/pack/pack.go",
		"pipeline.AppendEventOf(p.events, m, &blob, &sum)", "pipeline.AppendEventOf(p.events, m, &blob, &p.sums[0])", "in its pack differ"},
	{"a silent store is waited for as long as for the message", "gateway/driver/deadline.go",
		"left = min(left, l.generation.Timeouts.Store)", "_ = left", "the stage store ended"},
	{"commands are executed during a call", "gateway/driver/conn.go",
		"return c.call != nil", "return false", "took input during a call"},
	{"a call without a deadline", "gateway/driver/call.go",
		"l.setDeadline(c, limit)", "", "for a call"},
	{"a call is used again before it is home", "gateway/driver/call.go",
		"\tc.detachCall()\n\tl.callDone(", "\tl.calls = append(l.calls, c.call)\n\tc.detachCall()\n\tl.callDone(", "the result of another call|calls that are not home|panic"},
	{"an attempt that nobody could judge is accepted", "gateway/session/auth.go",
		"case answer.Verdict == AuthAccepted:", "case answer.Verdict != AuthRefused:", "was accepted, and nobody knows it"},
	{"an attempt that is refused is told that nobody could judge it", "gateway/session/auth.go",
		"case answer.Verdict == AuthUnavailable:", "case answer.Verdict != AuthAccepted:", "was told that there is no answer"},
	{"mail without authentication", "gateway/session/transaction.go",
		"s.settings.Role == pipeline.RoleSubmission && s.known().auth == nil", "false", "due was"},
	{"mail from the addresses of others", "gateway/session/auth.go",
		"if auth == nil || path.Kind", "if true || path.Kind", "due was"},
	{"users send to accepted domains only", "gateway/session/transaction.go",
		"if s.settings.Role == pipeline.RoleSubmission {", "if false {", "due was"},
	{"who a client claims to be is who it is", "gateway/session/auth.go",
		"Identity: answer.Identity,", "Identity: x.User,", "has another origin|due was"},
	{"authentication is kept over STARTTLS", "gateway/session/tls.go",
		"proxy: s.known().proxy, tls: about}", "proxy: s.known().proxy, tls: about, auth: s.known().auth}", "due was|that never began"},
	{"authentication is kept over XCLIENT", "gateway/session/xclient.go",
		"tls: known.tls},", "tls: known.tls, auth: known.auth},", "due was|that never began"},
	{"authentication ends with EHLO", "gateway/session/command.go",
		"s.esmtp = cmd.Verb == codec.VerbEHLO", "s.esmtp = cmd.Verb == codec.VerbEHLO\n\tif s.peer != nil {\n\t\ts.peer.auth = nil\n\t}", "due was"},
	{"the line behind a refused token is taken for a response", "gateway/session/auth.go",
		"x.told, s.phase = true, PhaseResponse", "x.told, s.phase = false, PhaseResponse", "due was"},
	{"a drain ends an attempt", "gateway/session/transaction.go",
		"(s.phase == PhaseCommand || s.phase == PhaseResponse) && s.message == nil", "s.phase != PhaseClosed && s.message == nil", "to an attempt"},
	{"an answer comes before its time", "gateway/driver/auth.go",
		"case a.Delay > 0 && !l.draining:", "case false:", "before its time"},
	{"an answer that is held is forgotten", "gateway/driver/deadline.go",
		"case c.holdsAnswer():", "case false:", "to an attempt"},
	{"an answer that is held is taken for none", "gateway/session/auth.go",
		"s.peer.exchange.answer = answer", "_ = answer", "was told that there is no answer"},
	{"commands are executed while an answer is held", "gateway/driver/conn.go",
		"session.PhaseOutcome, session.PhaseAuth:", "session.PhaseOutcome:", "never had its reply|are unread"},
	{"an attempt without a deadline", "gateway/driver/auth.go",
		"l.beginCall(c, a.Limit,", "l.beginCall(c, time.Hour,", "for its attempt|in vain|after a quiet time"},
	{"an attempt has the time of a command", "gateway/driver/deadline.go",
		"case c.session.Phase() != session.PhaseCommand && c.session.Phase() != session.PhaseResponse:", "case c.session.Phase() == session.PhaseBody || c.session.Phase() == session.PhaseCredit || c.session.Phase() == session.PhaseOutcome:", "before its time|for its attempt"},
	{"an attempt is awaited beyond its deadline", "gateway/driver/call.go",
		"\tc.detachCall()\n\tl.callDone(", "\tl.callDone(", "had asked nothing|due was|nothing is waited for|never had its reply|for a call|to an attempt|in the wheel"},
	{"a call that came home is kept", "gateway/driver/call.go",
		"\t\tc.call = nil\n\t\tl.callDone", "\t\tl.callDone", "closed connection|took input|for a call|never had its reply|waited in vain|panic"},
	{"the answer to an attempt without room never comes", "gateway/driver/auth.go",
		"\t\t\ta.Home(a)\n", "", "was told|for its attempt|calls that are not home"},
	{"a secret without room is not wiped", "gateway/driver/auth.go",
		"\t\t\ta.Wipe()\n", "", "its secret is not wiped"},
	{"a secret stays in the line of its command", "gateway/driver/pump.go",
		"clear(in[:n]) // no secret stays in a buffer", "", "stays in a buffer"},
	{"a secret stays in the line of its response", "gateway/driver/auth.go",
		"clear(in[:n]) //", "//", "stays in a buffer"},
}

// firstSeeds are where the search for a mutation begins that the worlds from 1 on show
// late. It goes on from there: a seed that shows it no more makes the test slower only.
var firstSeeds = map[string]uint64{
	"credit granted to nobody and kept": 617,
	"a reply overtakes another":         60009,
}

// TestMutations shows that the simulator can fail: each mutation is compiled in
// place of the real code and must be found, for the right reason.
func TestMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the product once for each mutation")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			binary := m.compile(t, root)
			search := exec.CommandContext(t.Context(), binary, "-test.run=^TestSeeds$", "-sim.seeds=20000",
				fmt.Sprint("-sim.first=", max(firstSeeds[m.name], 1)))
			search.Env = append(os.Environ(), "GOMAXPROCS=1") // always the same world first
			out, err := search.CombinedOutput()
			if err == nil {
				t.Fatalf("not found in 20,000 worlds")
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "VIOLATION") {
					if !slices.ContainsFunc(strings.Split(m.found, "|"), func(s string) bool { return strings.Contains(line, s) }) {
						t.Errorf("found for another reason: %s", line)
					}
					t.Log(strings.TrimSpace(line))
					return
				}
			}
			t.Errorf("it failed otherwise: %s", out)
		})
	}
}

// compile makes this package's test with the mutation in it.
func (m *mutation) compile(t *testing.T, root string) string {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(root, m.file)
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%q stands %d times in %s", m.old, n, m.file)
	}
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sim.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags=-s -w", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./gateway/sim")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

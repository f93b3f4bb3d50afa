package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"sluice/gateway/driver"
	"sluice/gateway/session"
	"sluice/pipeline"
)

// witness is the Observer and the MailLog of a process: it checks what they are told.
type witness struct{ p *process }

func (o witness) SessionOpened() { o.p.opened++ }

func (o witness) SessionRefused(string) { o.p.w.tally["sessions refused"]++ }

func (o witness) ProxyRefused(cause string)      { o.p.w.tally["proxy "+cause]++ }
func (o witness) TLSDone(string, bool)           { o.p.w.tally["tls"]++ }
func (o witness) TLSFailed(cause string)         { o.p.w.tally["tls "+cause]++ }
func (o witness) Authenticated(_, reason string) { o.p.users.judged(reason) }
func (o witness) LenientPath(string)             { o.p.w.tally["lenient paths"]++ }
func (o witness) SessionShed(string)             { o.p.w.tally["sessions shed"]++ }

func (o witness) SessionClosed(_ float64, end string) {
	o.p.closed++
	o.p.w.tally["sessions ended: "+end]++
}

func (o witness) Reply(code int, cause string) {
	if code >= 400 {
		o.p.w.tally["refusal "+cause]++
	}
}

func (o witness) MessageDone(result string, octets int64, seconds float64) {
	w := o.p.w
	w.tally["messages received"]++
	w.trace.add(note{at: w.now, what: "message done", n: int(octets), text: result})
	if most := (timeouts.Message + slack).Seconds(); seconds > most {
		w.fail("a message was answered %s after %.1f s", result, seconds)
	}
}

func (o witness) StageDone(stage, result string, seconds float64) {
	limit := timeouts.Message
	if stage == pipeline.StageStoring.String() {
		limit = timeouts.Store
	}
	if stage == pipeline.StageVerifying.String() {
		limit = verdictTime
	}
	if most := (limit + slack).Seconds(); seconds > most {
		o.p.w.fail("the stage %s ended with %s after %.1f s", stage, result, seconds)
	}
	if !slices.Contains(pipeline.ObservedStages(), stage) {
		o.p.w.fail("a result of the stage %q", stage)
	}
}

func (o witness) LateResult(stage, _ string) { o.p.w.tally["late "+stage]++ }
func (o witness) Orphaned(fate string)       { o.p.w.tally["orphans "+fate]++ }

func (o witness) CreditWaited(result string, seconds float64) {
	w := o.p.w
	w.tally["credit "+result]++
	w.trace.add(note{at: w.now, what: "credit waited", n: int(seconds * 1000), text: result})
	if most := (timeouts.Credit + slack).Seconds(); seconds > most {
		w.fail("credit was %s after %.1f s", result, seconds)
	}
}

func (o witness) MemoryRelieved(sending string) { o.p.w.tally["relief of "+sending]++ }

func (o witness) LoopDelay(float64) {}

func (o witness) SessionPaused(waitsFor string) {
	o.p.paused++
	o.p.w.tally["pauses for "+waitsFor]++
}

func (o witness) SessionResumed() { o.p.paused-- }

// Panicked serves Observer; that of MailLog has the reason.
func (o witness) Panicked(string) {}

// Refused implements driver.MailLog.
func (o witness) Refused(r *driver.Refusal) { o.p.users.logged(r) }

// LeftOut implements driver.MailLog.
func (o witness) LeftOut(session.ID, netip.AddrPort, int) {}

// Lost implements driver.MailLog.
func (o witness) Lost(*driver.Loss) { o.p.w.tally["messages lost by their senders"]++ }

// LoggedIn implements driver.MailLog.
func (o witness) LoggedIn(l *driver.Login) { o.p.users.logged(l) }

// Accepted implements driver.MailLog: a 250 was written.
func (o witness) Accepted(a *driver.Acceptance) {
	w := o.p.w
	w.tally["250"]++
	if err := w.durable(a.Message.ID.String(), nil); err != nil {
		w.fail("250 was said: %v", err)
	}
}

// mailLog is a witness whose Panicked is that of MailLog.
type mailLog struct{ witness }

func (o mailLog) Panicked(_ session.ID, where string, reason any, stack []byte) {
	o.p.w.fail("panic in %s: %v\n%s", where, reason, stack)
}

var _ driver.MailLog = mailLog{}

// tally counts what was simulated.
type tally map[string]int

func (t tally) add(other tally) {
	for name, n := range other {
		t[name] += n
	}
}

func (t tally) String() string {
	return fmt.Sprint(map[string]int(t)) // sorted by name
}

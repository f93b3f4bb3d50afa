package verify

import (
	"errors"
	"slices"
	"strings"

	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/dmarc"
	"sluice/gateway/verify/domain"
	"sluice/gateway/verify/iprev"
	"sluice/gateway/verify/spf"
	"sluice/pipeline"
)

// Action is what is done with a message.
type Action string

// The actions, from the mildest to the strictest.
const (
	Accept     Action = pipeline.DispositionAccept
	Quarantine Action = pipeline.DispositionQuarantine // accept, and say so in the event
	Defer      Action = pipeline.DispositionDefer
	Reject     Action = pipeline.DispositionReject
)

// Actions returns every action, from the mildest to the strictest.
func Actions() []Action { return []Action{Accept, Quarantine, Defer, Reject} }

func (a Action) stricterThan(b Action) bool {
	return slices.Index(Actions(), a) > slices.Index(Actions(), b)
}

// Policy has an action for each thing that may be wrong (verify.policy). What was not set
// is Accept.
type Policy struct {
	SPFFail         Action // the client may not send for the sender's domain
	DMARCReject     Action // DMARC failed, and the domain wants reject
	DMARCQuarantine Action // DMARC failed, and the domain wants quarantine
	BadFrom         Action // the message has no one author
	TempError       Action // SPF or DMARC is not known for now
}

// DefaultPolicy returns that of a gateway that refuses nothing: a receiver must not reject
// by p=reject alone, and without more knowledge takes it for quarantine (RFC 9989 §7.4).
func DefaultPolicy() Policy {
	return Policy{
		SPFFail: Accept, DMARCReject: Quarantine, DMARCQuarantine: Quarantine, BadFrom: Accept, TempError: Accept,
	}
}

// The causes: keys of verify.policy.
const (
	causeSPFFail         = "spf_fail"
	causeDMARCReject     = "dmarc_reject"
	causeDMARCQuarantine = "dmarc_quarantine"
	causeBadFrom         = "bad_from"
	causeTempError       = "temperror"
)

// Causes returns every cause of a decision.
func Causes() []string {
	return []string{causeSPFFail, causeDMARCReject, causeDMARCQuarantine, causeBadFrom, causeTempError}
}

// decision is what policy makes of a message.
type decision struct {
	action Action
	cause  string // empty for Accept
	dmarc  Action // on account of DMARC alone
	exempt bool
}

// decide applies the policy: the strictest of the actions that apply.
func (e *Evaluation) decide() decision {
	d := decision{action: Accept, dmarc: Accept, exempt: e.isExempt()}
	consider := func(cause string, action Action) {
		if action.stricterThan(d.action) {
			d.action, d.cause = action, cause
		}
	}
	p := e.options.Policy
	if e.dmarc.Verdict == dmarc.PermError {
		consider(causeBadFrom, p.BadFrom)
	}
	if d.exempt {
		return d
	}
	if e.dmarc.Verdict == dmarc.Fail {
		cause := causeDMARCReject
		switch e.dmarc.Policy {
		case dmarc.Reject:
			d.dmarc = p.DMARCReject
		case dmarc.Quarantine:
			d.dmarc, cause = p.DMARCQuarantine, causeDMARCQuarantine
		}
		consider(cause, d.dmarc)
	}
	if e.spf.Result == spf.Fail {
		consider(causeSPFFail, p.SPFFail)
	}
	if e.dmarc.Verdict == dmarc.TempError || e.spf.Result == spf.TempError && e.dmarc.Verdict != dmarc.Pass {
		consider(causeTempError, p.TempError)
	}
	return d
}

// isExempt reports whether a domain that was verified is exempt: that of SPF, of HELO, of a
// signature or the client's name.
func (e *Evaluation) isExempt() bool {
	if e.spf.Result == spf.Pass && e.exempts(e.spf.Domain) || e.helo.Result == spf.Pass && e.exempts(e.helo.Domain) ||
		e.name.Result == iprev.Pass && e.exempts(e.name.Name) {
		return true
	}
	return slices.ContainsFunc(e.signatures, func(s dkim.Result) bool {
		return s.Verdict == dkim.Pass && e.exempts(s.Domain)
	})
}

func (e *Evaluation) exempts(name string) bool {
	name, ok := domain.ASCII(name)
	return ok && slices.ContainsFunc(e.options.Exempt, func(exempt string) bool {
		if above, all := strings.CutPrefix(exempt, "*."); all {
			return name != above && domain.Within(name, above)
		}
		return name == exempt
	})
}

// refusal returns the failure with which a decision refuses the message, or nil. What it
// tells the sender is a domain, or what is wrong with From.
func (e *Evaluation) refusal(d decision) error {
	f := &pipeline.Failure{Kind: pipeline.KindUnverified, Op: "verify", Err: errors.New("by verify.policy." + d.cause)}
	switch {
	case d.action == Defer && d.cause == causeTempError && e.spf.Result == spf.TempError:
		f.Kind = pipeline.KindSPFError
	case d.action == Defer:
	case d.action != Reject:
		return nil
	case d.cause == causeDMARCReject || d.cause == causeDMARCQuarantine:
		f.Kind, f.Told = pipeline.KindDMARC, e.from
	case d.cause == causeSPFFail:
		f.Kind = pipeline.KindSPF
	case d.cause == causeBadFrom:
		f.Kind, f.Told = pipeline.KindPolicy, "("+e.reason()+")"
	default:
		f.Kind = pipeline.KindPolicy
	}
	return f
}

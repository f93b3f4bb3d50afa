// Package verify finds out whether a message is from who it claims to be: SPF, DKIM, DMARC
// and the client's name, what policy makes of them, and what is written about them.
//
// It has no goroutine, lock, clock or socket of its own but for the answers of the DNS,
// which are kept for a message. What waits for the DNS takes a context; all else computes.
package verify

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"time"

	"sluice/gateway/verify/author"
	"sluice/gateway/verify/authres"
	"sluice/gateway/verify/dkim"
	"sluice/gateway/verify/dmarc"
	"sluice/gateway/verify/domain"
	"sluice/gateway/verify/fields"
	"sluice/gateway/verify/iprev"
	"sluice/gateway/verify/spf"
	"sluice/pipeline"
)

// Options are what messages are verified by. They do not change.
type Options struct {
	// AuthservID is the name under which results are written (RFC 8601 §2.5).
	AuthservID string
	// Exempt are domains whose mail policy lets pass: lists and forwarders. "*.example.org"
	// stands for all below example.org. They are in A-labels and lower case.
	Exempt []string
	// Policy is what is done with what does not pass.
	Policy Policy
	// Trace hears of each step of SPF. It may be nil.
	Trace func(spf.Identity, spf.Step)
	// Evidence makes Details say what was hashed.
	Evidence bool
}

// Claim is what is known of a message before its text.
type Claim struct {
	Client   netip.Addr
	Helo     string // the argument of HELO or EHLO
	MailFrom string // without brackets; empty for the null sender
	Now      time.Time
	DNS      Resolver
}

// Evaluation verifies one message. CheckSPF, CheckName, Fetch, and the four methods of the
// text may run beside each other. Those of the text are called in their order: Header,
// then Names, then Write for each part of the body. End is called when all have returned.
type Evaluation struct {
	options *Options
	claim   Claim
	answers answers

	spf, helo *spf.Verdict // nil: not known yet
	name      *iprev.Verdict

	headerRead bool
	tooLong    bool
	forged     int
	from       string
	fromReason author.Reason
	dkim       *dkim.Verifier

	signatures []dkim.Result
	dmarc      dmarc.Result
}

// Begin begins the verification of a message.
func Begin(options *Options, claim Claim) *Evaluation {
	e := &Evaluation{options: options, claim: claim}
	e.answers.dns = claim.DNS
	return e
}

// CheckSPF checks the names that the client and the sender have given. It waits for the
// DNS, and may begin before there is any text.
func (e *Evaluation) CheckSPF(ctx context.Context) {
	q := spf.Query{Client: e.claim.Client, HELO: e.claim.Helo, Sender: sender(e.claim.MailFrom)}
	check := func(identity spf.Identity, f func(context.Context, spf.Resolver, spf.Query) spf.Verdict) *spf.Verdict {
		if e.options.Trace != nil {
			q.Trace = func(s spf.Step) { e.options.Trace(identity, s) }
		}
		v := f(ctx, e.claim.DNS, q)
		return &v
	}
	helo := check(spf.HELO, spf.CheckHELO)
	e.spf, e.helo = helo, helo
	if e.claim.MailFrom != "" {
		e.spf = check(spf.MailFrom, spf.Check)
	}
}

// sender returns an address with its domain in A-labels, where it can be.
func sender(address string) string {
	at := strings.LastIndexByte(address, '@')
	if name, ok := domain.ASCII(address[at+1:]); ok && at >= 0 {
		return address[:at+1] + name
	}
	return address
}

// CheckName looks up the client's name. It waits for the DNS, and may begin before there
// is any text.
func (e *Evaluation) CheckName(ctx context.Context) {
	v := iprev.Check(ctx, e.claim.DNS, e.claim.Client)
	e.name = &v
}

// Header reads the header of a message, which consists of parts: with the empty line that
// ends it, or all of a message without one. It goes on beyond them if it is too long. It
// returns where the names of forged fields stand; they may be renamed now, as it keeps
// nothing of the header.
func (e *Evaluation) Header(parts [][]byte, tooLong bool) []int {
	var text []byte
	if len(parts) == 1 {
		text = parts[0]
	} else {
		text = bytes.Join(parts, nil)
	}
	forged := authres.Forged(text, e.options.AuthservID)
	e.headerRead, e.tooLong, e.forged = true, tooLong, len(forged)
	seen, rest := fields.Cut(text)
	list, ok := fields.Split(seen)
	if !ok || len(text) > fields.MaxHeader {
		e.tooLong = true
	}
	if e.tooLong {
		return forged
	}
	e.from, e.fromReason = author.Domain(list, rest)
	e.dkim = dkim.New(list, dkim.Options{From: e.from, Now: e.claim.Now.Unix(), Evidence: e.options.Evidence})
	e.dkim.Write(rest)
	return forged
}

// Names returns the names for Fetch: those of keys and of policies.
func (e *Evaluation) Names() []string {
	if e.dkim == nil {
		return nil
	}
	names := e.dkim.Keys()
	if e.from != "" {
		names = append(names, dmarc.Names(e.from)...)
	}
	return names
}

// Fetch asks the DNS for a name of Names, so that End finds the answer. It is safe for
// concurrent use, and need not be called.
func (e *Evaluation) Fetch(ctx context.Context, name string) { e.answers.LookupTXT(ctx, name) }

// NeedsBody reports whether the body matters.
func (e *Evaluation) NeedsBody() bool { return e.dkim != nil && e.dkim.NeedsBody() }

// Write takes the next part of the body. It keeps nothing of it.
func (e *Evaluation) Write(part []byte) {
	if e.dkim != nil {
		e.dkim.Write(part)
	}
}

// End ends the text and returns the verdict. It waits for answers of the DNS that are
// missing; with a context that has ended, for none. What was not checked is temperror, all
// of it where nothing else was called. It is called once.
func (e *Evaluation) End(ctx context.Context) pipeline.Verdict {
	if e.spf == nil {
		late := &spf.Verdict{
			Result: spf.TempError, Identity: spf.HELO, Domain: strings.ToLower(e.claim.Helo), Reason: "not checked in time",
		}
		e.spf, e.helo = late, late
		if from := sender(e.claim.MailFrom); from != "" {
			e.spf = &spf.Verdict{
				Result: spf.TempError, Identity: spf.MailFrom, Reason: late.Reason,
				Domain: strings.ToLower(from[strings.LastIndexByte(from, '@')+1:]),
			}
		}
	}
	if e.name == nil {
		e.name = &iprev.Verdict{Result: iprev.TempError, Reason: "not checked in time"}
	}
	if e.dkim != nil {
		e.signatures = e.dkim.Results(ctx, &e.answers)
	}
	if e.headerRead {
		e.dmarc = dmarc.Evaluate(ctx, &e.answers, e.message())
	} else {
		e.dmarc = dmarc.Result{Verdict: dmarc.TempError} // nobody knows whose message it is
	}
	return e.verdict()
}

// message returns what DMARC judges.
func (e *Evaluation) message() dmarc.Message {
	m := dmarc.Message{From: e.from}
	name, ok := domain.ASCII(e.spf.Domain)
	switch {
	case !ok || e.spf.Result != spf.Pass && e.spf.Result != spf.TempError:
	case e.spf.Result == spf.Pass:
		m.SPF = dmarc.Identifier{Domain: name, Check: dmarc.CheckPassed}
	default:
		m.SPF = dmarc.Identifier{Domain: name, Check: dmarc.CheckUnknown}
	}
	for _, s := range e.signatures {
		id := dmarc.Identifier{Domain: s.Domain}
		switch s.Verdict {
		case dkim.Pass:
			id.Check = dmarc.CheckPassed
		case dkim.TempError:
			id.Check = dmarc.CheckUnknown
		}
		m.DKIM = append(m.DKIM, id)
	}
	return m
}

// Details are what a verdict rests on.
type Details struct {
	SPF, HELO  spf.Verdict
	Name       iprev.Verdict
	Signatures []dkim.Result
	From       string
	FromReason author.Reason
	DMARC      dmarc.Result
}

// Details returns what the verdict rests on, after End.
func (e *Evaluation) Details() Details {
	return Details{
		SPF: *e.spf, HELO: *e.helo, Name: *e.name, Signatures: e.signatures,
		From: e.from, FromReason: e.fromReason, DMARC: e.dmarc,
	}
}

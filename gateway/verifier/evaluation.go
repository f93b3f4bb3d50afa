package verifier

import (
	"context"
	"slices"
	"sync"
	"time"

	"sluice/gateway/resolver"
	"sluice/gateway/verify"
	"sluice/gateway/verify/txt"
	"sluice/internal/panics"
	"sluice/pipeline"
)

// Evaluations are Checks by SPF, DKIM and DMARC.
type Evaluations struct {
	options  verify.Options
	resolver *resolver.Resolver
}

// NewEvaluations returns Checks with options that ask a resolver.
func NewEvaluations(options verify.Options, r *resolver.Resolver) *Evaluations {
	return &Evaluations{options, r}
}

// Begin implements Checks.
func (e *Evaluations) Begin(m *pipeline.Message) Check {
	dns := &lookups{Resolver: e.resolver.Lookups(resolver.DefaultLookups)}
	return &evaluation{dns: dns, of: verify.Begin(&e.options, verify.Claim{
		Client: m.Client.Address.Addr(), Helo: m.Client.Helo, MailFrom: string(m.Envelope.ReversePath()),
		Now: time.Now(), DNS: dns,
	})}
}

// Overdue implements Checks.
func (e *Evaluations) Overdue() pipeline.Verdict {
	return verify.Begin(&e.options, verify.Claim{}).End(context.Background()) // which asks nobody
}

// evaluation is a Check by gateway/verify.
type evaluation struct {
	of    *verify.Evaluation
	dns   *lookups
	names []string // that the header gives FindKeys
}

// FindSender implements Check.
func (e *evaluation) FindSender(ctx context.Context) {
	together(
		func() { e.of.CheckSPF(ctx) },
		func() { e.of.CheckName(ctx) },
	)
}

// ReadHeader implements Check.
func (e *evaluation) ReadHeader(chunks [][]byte, tooLong bool) (forged []int) {
	forged = e.of.Header(chunks, tooLong)
	e.names = e.of.Names()
	return forged
}

// FindKeys implements Check.
func (e *evaluation) FindKeys(ctx context.Context) {
	names := make(chan string, len(e.names))
	for _, name := range e.names {
		names <- name
	}
	close(names)
	find := func() {
		for name := range names {
			e.of.Fetch(ctx, name)
		}
	}
	together(find, slices.Repeat([]func(){find}, max(min(len(e.names), findersAtOnce)-1, 0))...)
}

// findersAtOnce is how many names of one message are looked up at a time.
const findersAtOnce = 4

// together runs functions at the same time, the first of them on this goroutine. A panic ends
// the one that made it.
func together(first func(), others ...func()) {
	var wait sync.WaitGroup
	for _, f := range others {
		wait.Go(func() { _ = panics.Try(panics.Verify, func() error { growStack(0); f(); return nil }) })
	}
	_ = panics.Try(panics.Verify, func() error { first(); return nil })
	wait.Wait()
}

// ReadText implements Check.
func (e *evaluation) ReadText(chunk []byte) { e.of.Write(chunk) }

// Judge implements Check.
func (e *evaluation) Judge(ctx context.Context, ask func(look func())) pipeline.Verdict {
	e.dns.ask = ask
	return e.of.End(ctx)
}

// lookups are those of a message. Once it is being judged they have to ask for their turn.
type lookups struct {
	verify.Resolver
	ask func(look func()) // nil before
}

// LookupTXT implements txt.Resolver. It is all that Judge looks up.
func (l *lookups) LookupTXT(ctx context.Context, name string) (texts []string, outcome txt.Outcome) {
	if l.ask == nil {
		return l.Resolver.LookupTXT(ctx, name)
	}
	l.ask(func() { texts, outcome = l.Resolver.LookupTXT(ctx, name) })
	return texts, outcome
}

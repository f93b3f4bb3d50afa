package indexed

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sluice/loadtest/corpus"
	"sluice/loadtest/process"
)

// Proof is mails of a corpus that are sent and then looked for by all that is true of them.
type Proof struct {
	Corpus   corpus.Corpus
	Mails    int
	Sessions int
	Searches int // at most
	Patience time.Duration
}

// Result is what came of a proof.
type Result struct {
	Kind     process.Kind `json:"kind"`
	Mails    int          `json:"mails"`
	Searches int          `json:"searches"`
	Sent     float64      `json:"sent_seconds"`
	Found    float64      `json:"found_seconds"` // from the last 250 until all were found
	Checked  float64      `json:"checked_seconds"`
	Wrong    []string     `json:"wrong,omitempty"`
}

// Run sends the mails to a gateway and asks an index that is filled from it. The mails that
// were sent are returned too.
func (p *Proof) Run(ctx context.Context, gateway *process.Sluice, x *Index) (*Result, *Sent, error) {
	r := &Result{Kind: gateway.Kind, Mails: p.Mails}
	began := time.Now()
	lap := func() float64 {
		took := time.Since(began)
		began = began.Add(took)
		return took.Seconds()
	}
	sent, err := p.send(ctx, gateway.SMTP)
	if err != nil {
		return nil, nil, err
	}
	r.Sent = lap()
	waiting, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	if err := sent.await(waiting, x); err != nil {
		return nil, nil, err
	}
	r.Found = lap()
	r.Searches, r.Wrong, err = sent.check(ctx, x, p.Searches)
	r.Checked = lap()
	return r, sent, err
}

// String is the result for people, with the first things that are wrong.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d mails sent in %.1f s, found %.1f s later; each shown and %d searches done in %.1f s: %d wrong\n",
		r.Kind, r.Mails, r.Sent, r.Found, r.Searches, r.Checked, len(r.Wrong))
	const shown = 40
	for i, w := range r.Wrong {
		if i == shown {
			fmt.Fprintf(&b, "and %d more\n", len(r.Wrong)-shown)
			break
		}
		fmt.Fprintln(&b, w)
	}
	return b.String()
}

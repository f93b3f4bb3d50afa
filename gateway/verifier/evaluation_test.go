package verifier

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sluice/gateway/verify"
	"sluice/gateway/verify/txt"
	"sluice/pipeline"
)

// TestNothingKnown checks the verdict on a message of which nothing is known in time.
func TestNothingKnown(t *testing.T) {
	for action, kind := range map[verify.Action]pipeline.Kind{verify.Accept: 0, verify.Quarantine: 0, verify.Defer: pipeline.KindSPFError} {
		policy := verify.DefaultPolicy()
		policy.TempError = action
		v := NewEvaluations(verify.Options{AuthservID: "mx.example.net", Policy: policy}, nil).Overdue()
		for _, want := range []string{"Authentication-Results: mx.example.net;", "spf=temperror", "dkim=temperror", "dmarc=temperror", "iprev=temperror"} {
			if !strings.Contains(string(v.Field), want) {
				t.Errorf("no %q in %q", want, v.Field)
			}
		}
		var refused *pipeline.Failure
		errors.As(v.Refusal, &refused)
		if (refused != nil) != (kind != 0) || refused != nil && refused.Kind != kind || v.Verdicts.Disposition != string(action) {
			t.Errorf("%s: %v, %+v", action, v.Refusal, v.Verdicts)
		}
		t.Logf("%s", v.Field)
	}
}

// asked is a DNS that knows nothing, and is to be asked in turn.
type asked struct {
	verify.Resolver
	inTurn, others int
	turn           bool
}

func (a *asked) LookupTXT(context.Context, string) ([]string, txt.Outcome) {
	if a.turn {
		a.inTurn++
	} else {
		a.others++
	}
	return nil, txt.Failed
}

// TestJudgeAsksInTurn checks that all that is asked while a message is judged is asked in
// turn, so that it holds no processor.
func TestJudgeAsksInTurn(t *testing.T) {
	dns := &asked{}
	e := &evaluation{dns: &lookups{Resolver: dns}}
	e.of = verify.Begin(&verify.Options{AuthservID: "mx.example.net"}, verify.Claim{DNS: e.dns})
	e.ReadHeader([][]byte{[]byte("From: a@example.com\r\n\r\n")}, false)
	e.FindKeys(t.Context())
	if dns.others == 0 {
		t.Error("nothing was asked before")
	}
	dns.others = 0
	e.Judge(t.Context(), func(look func()) {
		dns.turn = true
		look()
		dns.turn = false
	})
	if dns.inTurn == 0 || dns.others != 0 {
		t.Errorf("%d are asked in turn, %d otherwise", dns.inTurn, dns.others)
	}
}

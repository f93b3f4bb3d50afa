package verifier

import (
	"errors"
	"strings"
	"testing"

	"sluice/gateway/verify"
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

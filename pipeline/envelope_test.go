package pipeline_test

import (
	"fmt"
	"testing"

	"sluice/pipeline"
)

// TestEnvelope uses one envelope for several messages: nothing of one is seen in
// the next, and nothing is allocated for one of common size once the buffers are there.
func TestEnvelope(t *testing.T) {
	var e pipeline.Envelope
	fill := func(recipients int) {
		e.Reset()
		e.SetReversePath([]byte("sender@example.org"))
		for range recipients {
			e.AddRecipient([]byte("recipient@example.net"))
		}
	}
	if e.ReversePath() != nil || e.Recipients() != 0 {
		t.Errorf("new: %q, %d recipients", e.ReversePath(), e.Recipients())
	}
	for _, recipients := range []int{1000, 1, 3, 0} {
		fill(recipients)
		if e.Recipients() != recipients || string(e.ReversePath()) != "sender@example.org" || e.SizeDeclared != -1 {
			t.Errorf("%d recipients of %d, %q", e.Recipients(), recipients, e.ReversePath())
		}
		for i := range recipients {
			if string(e.Recipient(i)) != "recipient@example.net" {
				t.Errorf("recipient %d: %q", i, e.Recipient(i))
			}
		}
	}
	e.Reset()
	e.SetReversePath(nil)
	e.AddRecipient([]byte("a"))
	e.AddRecipient([]byte(""))
	e.AddRecipient([]byte("bc"))
	got := fmt.Sprintf("%q %q %q %q", e.ReversePath(), e.Recipient(0), e.Recipient(1), e.Recipient(2))
	if want := `"" "a" "" "bc"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if allocs := testing.AllocsPerRun(100, func() { fill(20) }); allocs > 0 {
		t.Errorf("%v allocations a message", allocs)
	}
}

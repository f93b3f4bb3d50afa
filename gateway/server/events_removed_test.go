package server

import (
	"os"
	"strings"
	"testing"

	"sluice/internal/testkit"
)

// TestEventLogRemoved removes the folder of the embedded log under a gateway: no mail is
// accepted any more, and the gateway says why and goes on serving.
func TestEventLogRemoved(t *testing.T) {
	log := captureLog(t)
	r := launch(t, nil)
	r.oneMail(t)
	if err := os.RemoveAll(r.config.EventsDir()); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "mail is turned away", func() bool {
		reply := r.send(t)
		if strings.HasPrefix(reply, "250 ") {
			t.Fatal("mail was accepted into a deleted log")
		}
		return strings.HasPrefix(reply, "421 ")
	})
	testkit.Eventually(t, "the next decision", func() bool {
		return strings.Contains(r.metricsPage(t), `sluice_pressure_cause{cause="events_errors",class="default"} 1`)
	})
	r.expectAway(t)
	r.end(t)
	if n := strings.Count(log(), "the event log has failed: no mail is accepted until a restart"); n != 1 {
		t.Errorf("%d lines say so, want 1:\n%s", n, log())
	}
	expectLines(t, log(), 1, 0)
}

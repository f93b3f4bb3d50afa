package audit_test

import (
	"os"
	"strings"
	"testing"

	"sluice/pipeline"
)

// TestVerdicts audits a message that was verified, and finds where the field on top of it
// or its event were changed.
func TestVerdicts(t *testing.T) {
	const field = "Authentication-Results: mx.example.net;\r\n\tspf=pass smtp.mailfrom=example.org;\r\n\tdmarc=fail header.from=example.com\r\n"
	for name, test := range map[string]struct{ trace, event, says string }{
		"nothing":               {"", "", "audit ok"},
		"field removed":         {field + "=>", "", "the event says Authentication-Results"},
		"field of another":      {"dmarc=fail=>dmarc=pass", "", "the event says dmarc=fail"},
		"header added":          {"Received:=>X-Added: 1\r\nReceived:", "", "Sluice adds"},
		"client with no name":   {"(client.example.org =>(", "", "Sluice adds"},
		"event of another":      {"", `"spf":{"result":"pass"=>"spf":{"result":"fail"`, "the event says spf=fail"},
		"event without verdict": {"", `,"verdicts":{=>,"x":{`, "event is not what Sluice writes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t, "Subject: x\r\n\r\nbody\r\n", pipeline.Verdict{
				Field: []byte(field), Name: "client.example.org",
				Verdicts: &pipeline.Verdicts{
					Disposition: "accept", SPF: pipeline.SPFVerdict{Result: "pass", Identity: "mailfrom", Helo: "none"}, DKIM: []pipeline.DKIMVerdict{},
					DMARC: pipeline.DMARCVerdict{Result: "fail", Disposition: "none"},
					IPRev: pipeline.IPRevVerdict{Result: "pass", Name: "client.example.org"},
				},
			})
			if from, to, ok := strings.Cut(test.trace, "=>"); ok {
				w.retrace(t, messages, func(trace string) string { return strings.Replace(trace, from, to, 1) })
			}
			before := string(w.log[messages][1])
			if from, to, ok := strings.Cut(test.event, "=>"); ok {
				w.log[messages][1] = []byte(strings.Replace(before, from, to, 1))
				if string(w.log[messages][1]) == before {
					t.Fatal(before)
				}
			}
			if r := w.audit(t); r.OK() != (name == "nothing") || !strings.Contains(r.String(), test.says) {
				content, _ := os.ReadFile(w.path(messages))
				t.Errorf("%s\n%s", r, content)
			}
		})
	}
}

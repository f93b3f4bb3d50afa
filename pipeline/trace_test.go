package pipeline_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sluice/pipeline"
)

const traceID = "018c8d40-0a7b-7000-8000-000000000000"

func traced(t *testing.T, address string, recipients ...string) *pipeline.Message {
	t.Helper()
	id, err := pipeline.ParseID(traceID)
	if err != nil {
		t.Fatal(err)
	}
	m := &pipeline.Message{ID: id, Gateway: "mx1.example.net"}
	m.Client = pipeline.Client{Address: netip.MustParseAddrPort(address), Helo: "client.example.org", Protocol: "ESMTP"}
	m.Envelope.SetReversePath([]byte("sender@example.org"))
	for _, r := range recipients {
		m.Envelope.AddRecipient([]byte(r))
	}
	m.ReceivedAt = time.Date(2026, 3, 1, 1, 2, 3, 999e6, time.FixedZone("UTC+2", 2*3600))
	return m
}

// TestTrace holds the field's exact form (RFC 5321 §4.4).
func TestTrace(t *testing.T) {
	const tail = "\tby mx1.example.net with ESMTP id " + traceID
	const date = ";\r\n\tSat, 28 Feb 2026 23:02:03 +0000\r\n"
	for name, test := range map[string]struct {
		m    *pipeline.Message
		want string
	}{
		"one recipient": {
			traced(t, "192.0.2.1:4711", "a@example.net"),
			"Received: from client.example.org ([192.0.2.1])\r\n" + tail + "\r\n\tfor <a@example.net>" + date,
		},
		"postmaster without a domain": {
			traced(t, "192.0.2.1:4711", "Postmaster"),
			"Received: from client.example.org ([192.0.2.1])\r\n" + tail + "\r\n\tfor <Postmaster@mx1.example.net>" + date,
		},
		"several recipients": {
			traced(t, "192.0.2.1:4711", "a@example.net", "b@example.net"),
			"Received: from client.example.org ([192.0.2.1])\r\n" + tail + date,
		},
		"IPv6": {
			traced(t, "[2001:db8::1]:4711", "a@example.net", "b@example.net"),
			"Received: from client.example.org ([IPv6:2001:db8::1])\r\n" + tail + date,
		},
		"IPv4 in IPv6": {
			traced(t, "[::ffff:192.0.2.1]:4711", "a@example.net", "b@example.net"),
			"Received: from client.example.org ([192.0.2.1])\r\n" + tail + date,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(pipeline.AppendTrace([]byte("before"), test.m))
			if got != "before"+test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			for line := range strings.SplitSeq(got, "\r\n") {
				if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
					t.Errorf("line %q", line)
				}
			}
		})
	}
}

// A HELO name that looks like syntax must not become any (RFC 5321 §4.4).
func TestTraceOfStrangeHelo(t *testing.T) {
	m := traced(t, "192.0.2.1:4711", "a@example.net")
	m.Client.Helo = `x(c)";<a>,\by`
	got := string(pipeline.AppendTrace(nil, m))
	if want := "Received: from x?c????a???by ([192.0.2.1])\r\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

package main

import (
	"os/exec"
	"strings"
	"testing"

	"sluice/internal/testkit"
	"sluice/loadtest/stack"
)

// TestIndexDocument types what docs/index.md says, with the gateway that README's tour
// starts.
func TestIndexDocument(t *testing.T) {
	needs(t, "curl", "ip", "sqlite3")
	host, dir := ownHost(t), inFolder(t)
	typed(t, host, dir, "bin/sluice")
	sent, err := shell(t, host, dir, fenced(t, "../README.md", "Five minutes")[0])
	_, rest, found := strings.Cut(sent, "< 250 2.0.0 Ok ")
	if err != nil || !found {
		t.Fatalf("%v: %s", err, sent)
	}
	id := strings.Fields(rest)[0]
	testkit.Eventually(t, "it is found", func() bool {
		_, err := shell(t, host, dir, "bin/sluice find --subject hello")
		return err == nil
	})
	var lines []string
	for _, section := range []string{"Asking", "The tables", "When something is wrong"} {
		for _, block := range fenced(t, "../docs/index.md", section) {
			if !strings.HasPrefix(block, "select") {
				lines = append(lines, strings.Split(strings.TrimSpace(block), "\n")...)
			}
		}
	}
	if len(lines) != 11 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		out, err := shell(t, host, dir, strings.ReplaceAll(line, "<id>", id))
		switch {
		case strings.Contains(line, " dlq "):
			if exitCode(err) != 3 { // there are none
				t.Errorf("%s: %v: %s", line, err, out)
			}
		case err != nil:
			t.Errorf("%s: %v: %s", line, err, out)
		case strings.Contains(line, "recipients group"):
			if !strings.Contains(out, "someone@example.net|1") {
				t.Errorf("%s: %s", line, out)
			}
		case !strings.Contains(line, "export") && !strings.Contains(line, "pdf") && !strings.Contains(out, id) && !strings.Contains(out, "Hello, Sluice."):
			t.Errorf("%s: %s", line, out)
		}
	}
	if out, err := shell(t, host, dir, "cat found.mbox found/"+id+".eml"); err != nil || strings.Count(out, "Hello, Sluice.") != 2 {
		t.Errorf("%v: %s", err, out)
	}
}

// TestIndexDocumentSQL asks PostgreSQL what docs/index.md asks, of an index that a gateway
// has filled.
func TestIndexDocumentSQL(t *testing.T) {
	t.Parallel()
	needs(t, "psql")
	database := stack.Postgres(t)
	gateway := newGateway(t)
	gateway.Config = "index: {store: postgres, postgres: {url: \"" + database.URL + "\"}}\n"
	startGateway(t, gateway)
	id := sendOne(t, gateway, findable)
	testkit.Eventually(t, "it is found", func() bool { return len(foundIDs(t, gateway)) == 1 })
	for _, block := range fenced(t, "../docs/index.md", "The tables") {
		if !strings.HasPrefix(block, "select") {
			continue
		}
		for query := range strings.Lines(block) {
			out, err := exec.CommandContext(t.Context(), "psql", "-At", "-v", "ON_ERROR_STOP=1", database.URL, "-c", query).CombinedOutput()
			want := id
			switch {
			case strings.Contains(query, "client"):
				want = "127.0.0.1|1"
			case strings.Contains(query, "dmarc"):
				want = "|1"
			case strings.Contains(query, "message_parts"):
				want = "bill may.pdf|1|5"
			}
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v: %s", query, err, out)
			}
		}
	}
}

package adapters

import (
	"slices"
	"strings"
	"testing"

	"sluice/gateway/maillog"
	"sluice/internal/testkit"
)

// TestReplacedClients checks that each client that was replaced is counted and has a line
// with the cause, and that one for another size is no warning.
func TestReplacedClients(t *testing.T) {
	var lines testkit.Buffer
	var counted []string
	log := maillog.New(maillog.Options{}, &lines)
	replaced := clientReplaced(Deps{MailLog: log, ClientReplaced: func(cause string) { counted = append(counted, cause) }})
	for _, cause := range ReplaceCauses() {
		replaced(cause)
	}
	log.Close()
	if !slices.Equal(counted, ReplaceCauses()) {
		t.Errorf("counted %v", counted)
	}
	for _, cause := range ReplaceCauses() {
		level := "WARN"
		if cause == "size" {
			level = "INFO"
		}
		want := "level=" + level + ` msg="events are published by a fresh Kafka client from now on" cause=` + cause + "\n"
		if strings.Count(lines.String(), want) != 1 {
			t.Errorf("no line %s in:\n%s", want, lines.String())
		}
	}
}

package audit

import (
	"fmt"
	"strings"
)

// Finding is a problem with one message or object.
type Finding struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Report is the result of an audit.
type Report struct {
	Acknowledged int `json:"acknowledged"` // messages with a 250
	Stored       int `json:"stored"`       // messages in the store
	Packs        int `json:"packs"`        // objects with several messages
	Events       int `json:"events"`       // events in the log

	// Lost has acknowledged messages whose event or object is missing.
	Lost []Finding `json:"lost"`
	// Altered has acknowledged messages whose object differs from what was sent or
	// announced.
	Altered []Finding `json:"altered"`
	// Dangling has events that do not lead to their object.
	Dangling []Finding `json:"dangling"`
	// Orphans has the keys of objects without an event, and the entries of packs without
	// one (key#entry). They are expected after a crash.
	Orphans []string `json:"orphans"`
	// Duplicates has ids with several events, and events whose message was never
	// acknowledged, so that the sender probably sent it again. They are expected when a
	// reply was lost.
	Duplicates []Finding `json:"duplicates"`
}

// OK reports whether every promise was kept: nothing is lost, altered or dangling.
func (r *Report) OK() bool {
	return len(r.Lost) == 0 && len(r.Altered) == 0 && len(r.Dangling) == 0
}

// maxShown bounds the lines of each kind in the text form; JSON has all.
const maxShown = 20

// String returns the report as text. The verdict and the counts are the last line, so
// that they are visible on a screen.
func (r *Report) String() string {
	var b strings.Builder
	verdict := "ok"
	if !r.OK() {
		verdict = "FAILED"
	}
	orphans := make([]Finding, len(r.Orphans))
	for i, key := range r.Orphans {
		orphans[i].ID = key
	}
	for _, kind := range []struct {
		name     string
		findings []Finding
	}{
		{"lost", r.Lost}, {"altered", r.Altered}, {"dangling", r.Dangling},
		{"orphan", orphans}, {"duplicate", r.Duplicates},
	} {
		for i, f := range kind.findings {
			if i == maxShown {
				fmt.Fprintf(&b, "%s: and %d more\n", kind.name, len(kind.findings)-maxShown)
				break
			}
			line := fmt.Sprintf("%s: %s %s", kind.name, f.ID, f.Reason)
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	fmt.Fprintf(&b, "audit %s: %d acknowledged, %d stored (%d packs), %d events, %d lost, %d altered, %d dangling, %d orphans, %d duplicates\n",
		verdict, r.Acknowledged, r.Stored, r.Packs, r.Events,
		len(r.Lost), len(r.Altered), len(r.Dangling), len(r.Orphans), len(r.Duplicates))
	return b.String()
}

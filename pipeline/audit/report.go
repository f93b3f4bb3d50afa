package audit

import (
	"fmt"
	"strings"
)

// Finding is something about one message.
type Finding struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Report is what an audit found.
type Report struct {
	Acknowledged int `json:"acknowledged"` // messages that were told 250
	Stored       int `json:"stored"`       // messages in the store
	Packs        int `json:"packs"`        // objects that hold several of them
	Events       int `json:"events"`       // events in the log

	// Lost: acknowledged, and event or object are not there.
	Lost []Finding `json:"lost"`
	// Altered: acknowledged, and the object is not what was sent or announced.
	Altered []Finding `json:"altered"`
	// Dangling: an event that consumers cannot follow to its object.
	Dangling []Finding `json:"dangling"`
	// Orphans: keys of objects without an event, and of single messages without one
	// in a pack (key#entry). Expected after a crash.
	Orphans []string `json:"orphans"`
	// Duplicates: an id with several events, or an event whose message was never
	// acknowledged, so that its sender probably sent it again. Expected when a
	// reply was lost.
	Duplicates []Finding `json:"duplicates"`
}

// OK says that every promise was kept: nothing lost, altered or dangling.
func (r *Report) OK() bool {
	return len(r.Lost) == 0 && len(r.Altered) == 0 && len(r.Dangling) == 0
}

// maxShown bounds the lines of each kind in the text form; JSON has all.
const maxShown = 20

// String returns the report as text: the findings, then one line of counts, so that
// the verdict is the last thing on a screen.
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
	}{{"lost", r.Lost}, {"altered", r.Altered}, {"dangling", r.Dangling}, {"orphan", orphans}, {"duplicate", r.Duplicates}} {
		for i, f := range kind.findings {
			if i == maxShown {
				fmt.Fprintf(&b, "%s: and %d more\n", kind.name, len(kind.findings)-maxShown)
				break
			}
			b.WriteString(strings.TrimRight(fmt.Sprintf("%s: %s %s", kind.name, f.ID, f.Reason), " ") + "\n")
		}
	}
	fmt.Fprintf(&b, "audit %s: %d acknowledged, %d stored (%d packs), %d events, %d lost, %d altered, %d dangling, %d orphans, %d duplicates\n",
		verdict, r.Acknowledged, r.Stored, r.Packs, r.Events,
		len(r.Lost), len(r.Altered), len(r.Dangling), len(r.Orphans), len(r.Duplicates))
	return b.String()
}

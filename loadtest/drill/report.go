package drill

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/pipeline/audit"
	"sluice/pipeline/dir"
	"sluice/pipeline/kafka"
	"sluice/pipeline/s3"
)

// Report is what a drill saw.
type Report struct {
	At       time.Time     `json:"at"`
	Kind     process.Kind  `json:"kind"`
	Seed     uint64        `json:"seed"`
	Sessions int           `json:"sessions"`
	Rounds   []Round       `json:"rounds,omitempty"`
	Outages  []Outage      `json:"outages,omitempty"`
	Losses   []Loss        `json:"losses,omitempty"`
	Absences []*Absence    `json:"absences,omitempty"`
	Reloads  *Reloads      `json:"reloads,omitempty"`
	Verdicts *Verdicts     `json:"verdicts,omitempty"`
	Index    *Indexing     `json:"index,omitempty"`
	Tally    client.Tally  `json:"sent_again"`
	Audit    *audit.Report `json:"audit"`

	// Abandoned are uploads in parts that a gateway which was killed left: there is
	// no one who could abort them but the bucket's lifecycle rule. Pending are those
	// of a gateway that lived on and ended in order: there must be none.
	Abandoned int `json:"abandoned_uploads"`
	Pending   int `json:"pending_uploads"`

	// Of a pause: how long the slowest of so many answers took, and might take.
	Slowest  float64 `json:"slowest_answer_seconds,omitempty"`
	Deadline float64 `json:"deadline_seconds,omitempty"`
	Answers  int64   `json:"answers_timed,omitempty"`

	// Receipts are all that was promised.
	Receipts []client.Receipt `json:"-"`
}

// OK reports whether every promise was kept.
func (r *Report) OK() bool {
	for _, o := range r.Outages {
		if o.Back > o.Within {
			return false
		}
	}
	for _, l := range r.Losses {
		if l.Pause > l.Allowed || !l.Named {
			return false
		}
	}
	for _, a := range r.Absences {
		if !a.ok() {
			return false
		}
	}
	if r.Reloads != nil && (!r.Reloads.ok() || r.Tally != client.Tally{}) {
		return false
	}
	if r.Verdicts != nil && !r.Verdicts.ok() {
		return false
	}
	if r.Index != nil && !r.Index.ok() {
		return false
	}
	return r.Audit.OK() && r.Pending == 0 && r.Slowest <= r.Deadline
}

// audit audits what was promised since auditFrom.
func (d *drill) audit(ctx context.Context) error {
	receipts, err := d.ledger.Receipts()
	if err != nil {
		return fmt.Errorf("receipts were not written: %w", err)
	}
	d.report.Receipts = slices.DeleteFunc(receipts, func(r client.Receipt) bool { return r.At.Before(d.auditFrom) })
	d.report.Audit, err = Audit(ctx, d.plan.Gateway, d.report.Receipts)
	return err
}

// Audit compares receipts with what a gateway has in its store and topic. An
// embedded one must be running.
func Audit(ctx context.Context, gateway *process.Sluice, receipts []client.Receipt) (*audit.Report, error) {
	store, err := storeOf(gateway)
	if err != nil {
		return nil, err
	}
	log := kafka.NewReader(kafka.Options{Brokers: strings.Split(gateway.Events, ","), Topic: gateway.Topic})
	acknowledged := make([]audit.Acknowledged, len(receipts))
	for i, r := range receipts {
		acknowledged[i] = audit.Acknowledged{ID: r.ID, SHA256: hex.EncodeToString(r.SHA256[:]), Size: r.Size,
			Event: r.Event, Begun: r.Begun, Answered: r.At}
	}
	return audit.Run(ctx, acknowledged, store, log)
}

func storeOf(gateway *process.Sluice) (audit.StoreReader, error) {
	if gateway.Kind != process.Fleet {
		return dir.NewReader(gateway.StoreDir())
	}
	at := gateway.S3
	return s3.NewReader(s3.Options{Endpoint: at.Endpoint, Bucket: at.Bucket, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	if len(r.Rounds) > 0 {
		slowest := 0.0
		killed := map[string]int{}
		for _, round := range r.Rounds {
			slowest = max(slowest, round.Ready)
			killed[round.Victim]++
		}
		fmt.Fprintf(&b, "%d times kill -9 under load from %d sessions (seed %d): sluice %d, minio %d, kafka %d; slowest start %.2f s\n",
			len(r.Rounds), r.Sessions, r.Seed, killed[VictimSluice], killed[VictimStore], killed[VictimLog], slowest)
	}
	for _, o := range r.Outages {
		fmt.Fprintf(&b, "%s stopped for %.1f s under load from %d sessions: %.0f/s before, %d answered 250 during, back %.2f s after its return, %.0f/s after\n",
			o.Victim, o.Paused, r.Sessions, o.Before, o.During, o.Back, o.After)
	}
	for _, l := range r.Losses {
		fmt.Fprintf(&b, "%s under load from %d sessions: %d answered 250, longest pause %.1f s, allowed %.1f s, broker named: %t\n",
			l.What, r.Sessions, l.Acknowledged, l.Pause, l.Allowed, l.Named)
	}
	for _, a := range r.Absences {
		fmt.Fprintln(&b, a)
	}
	if r.Reloads != nil {
		fmt.Fprintln(&b, r.Reloads)
		for _, wrong := range r.Reloads.Wrong {
			fmt.Fprintln(&b, "wrong:", wrong)
		}
	}
	if r.Verdicts != nil {
		fmt.Fprintln(&b, r.Verdicts)
	}
	if r.Index != nil {
		fmt.Fprintln(&b, r.Index)
	}
	if r.Answers > 0 {
		fmt.Fprintf(&b, "slowest of %d answers %.2f s, allowed %.2f s\n", r.Answers, r.Slowest, r.Deadline)
	}
	fmt.Fprintf(&b, "sent again: %d unanswered after the final dot, %d refused, %d broken off before it\n",
		r.Tally.Unanswered, r.Tally.Refused, r.Tally.Broken)
	if r.Kind == process.Fleet {
		fmt.Fprintf(&b, "uploads in parts: %d pending, %d abandoned by a killed gateway\n", r.Pending, r.Abandoned)
	}
	b.WriteString(r.Audit.String())
	return b.String()
}

// Write puts the report into folder as name.txt and name.json.
func (r *Report) Write(folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, name+".txt"), []byte(r.String()), 0o644); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, name+".json"), append(text, '\n'), 0o644)
}

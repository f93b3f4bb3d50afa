package drill

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sluice/loadtest/child"
	"sluice/loadtest/client"
	"sluice/pipeline/audit"
	"sluice/pipeline/dir"
	"sluice/pipeline/kafka"
)

// Report is what a drill saw.
type Report struct {
	At       time.Time     `json:"at"`
	Seed     uint64        `json:"seed"`
	Sessions int           `json:"sessions"`
	Rounds   []Round       `json:"rounds"`
	Tally    client.Tally  `json:"sent_again"`
	Audit    *audit.Report `json:"audit"`

	// Receipts are all that was promised.
	Receipts []client.Receipt `json:"-"`
}

// OK says that every promise was kept.
func (r *Report) OK() bool { return r.Audit.OK() }

func (r *Report) audit(ctx context.Context, gateway *child.Sluice, ledger *client.Ledger) error {
	var err error
	if r.Receipts, err = ledger.Receipts(); err != nil {
		return fmt.Errorf("receipts were not written: %w", err)
	}
	r.Audit, err = Audit(ctx, gateway, r.Receipts)
	return err
}

// Audit compares receipts with what a running gateway has in its store and topic.
func Audit(ctx context.Context, gateway *child.Sluice, receipts []client.Receipt) (*audit.Report, error) {
	store, err := dir.NewReader(gateway.StoreDir())
	if err != nil {
		return nil, err
	}
	log := kafka.NewReader(kafka.Options{Brokers: []string{gateway.Events}, Topic: child.Topic})
	acknowledged := make([]audit.Acknowledged, len(receipts))
	for i, r := range receipts {
		acknowledged[i] = audit.Acknowledged{ID: r.ID, SHA256: hex.EncodeToString(r.SHA256[:]), Size: r.Size}
	}
	return audit.Run(ctx, acknowledged, store, log)
}

// String is the report for people.
func (r *Report) String() string {
	var b strings.Builder
	slowest := 0.0
	for _, round := range r.Rounds {
		slowest = max(slowest, round.Ready)
	}
	fmt.Fprintf(&b, "%d times kill -9 under load from %d sessions (seed %d); slowest start %.2f s\n",
		len(r.Rounds), r.Sessions, r.Seed, slowest)
	fmt.Fprintf(&b, "sent again: %d unanswered after the final dot, %d refused, %d broken off before it\n",
		r.Tally.Unanswered, r.Tally.Refused, r.Tally.Broken)
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

package bench

import (
	"fmt"
	"strings"
)

// IndexReport is what a run of sluice index measured.
type IndexReport struct {
	Messages int     `json:"messages"`
	Size     int     `json:"size"`
	Accepted float64 `json:"accepted_per_second"` // by the gateway, before
	measured
	Profile []Share `json:"profile,omitempty"`
}

func (r *IndexReport) add(c indexCase, what string, value float64) {
	row := r.row(what, c.String())
	row.Values = append(row.Values, value)
}

func (r *IndexReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "`sluice index` on the packs of a fleet, MinIO, Kafka and database on the same cores: %d messages with %d bytes of text, which the gateway took at %.0f/s. Seconds and CPU time per 10,000 messages; seconds of fetching and parsing are of all workers together. Beside a median of the rounds stand the least and the most of them.\n\n",
		r.Messages, r.Size, r.Accepted)
	b.WriteString("| Database | " + strings.Join(indexColumns, " | ") + " |\n|---" + strings.Repeat("|---:", len(indexColumns)) + "|\n")
	for _, c := range indexCases {
		fmt.Fprintf(b, "| %s ", c)
		for _, what := range indexColumns {
			decimals := 1
			if what == indexRate || what == indexResident {
				decimals = 0
			}
			fmt.Fprintf(b, "| %s ", r.show(what, c.String(), decimals))
		}
		b.WriteString("|\n")
	}
	shares(b, profiled.String(), r.Profile)
}

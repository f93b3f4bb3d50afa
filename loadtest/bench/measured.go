package bench

import (
	"fmt"
	"strings"
)

// Series is one thing measured of one server, in each round.
type Series struct {
	What   string    `json:"what"`
	Server string    `json:"server"`
	Values []float64 `json:"values"`
}

// measured holds series.
type measured struct {
	Rows []*Series `json:"rows"`
}

func (m *measured) row(what, server string) *Series {
	if row := m.find(what, server); row != nil {
		return row
	}
	row := &Series{What: what, Server: server}
	m.Rows = append(m.Rows, row)
	return row
}

func (m *measured) find(what, server string) *Series {
	for _, row := range m.Rows {
		if row.What == what && row.Server == server {
			return row
		}
	}
	return nil
}

// ratio is the median of the rounds' ratios of a server to another.
func (m *measured) ratio(what, server, to string) Spread {
	ours, theirs := m.row(what, server), m.row(what, to)
	var values []float64
	for i := range min(len(ours.Values), len(theirs.Values)) {
		values = append(values, ours.Values[i]/theirs.Values[i])
	}
	return spreadOf(values)
}

func (m *measured) show(what, server string, decimals int) string {
	row := m.find(what, server)
	if row == nil {
		return "–"
	}
	return spreadOf(row.Values).text(decimals, "")
}

// shares writes a profile, if there is one.
func shares(b *strings.Builder, of string, profile []Share) {
	if len(profile) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| Sluice's CPU time, %s | share | of it in the kernel |\n|---|---:|---:|\n", of)
	for _, s := range profile {
		if s.All > 0 {
			fmt.Fprintf(b, "| %s | %.0f %% | %.0f %% |\n", s.Of, s.All*100, s.Kernel*100)
		}
	}
}

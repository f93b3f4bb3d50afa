package bench

import (
	"fmt"
	"strings"
)

// FleetReport is what a run against a store and a broker measured.
type FleetReport struct {
	Large  LargeLoad   `json:"large"`
	Puts   int         `json:"puts_at_once"`
	Object int64       `json:"object_bytes"` // a small message as it is stored
	Record int         `json:"record_bytes"` // key and value of its event
	Rows   []*FleetRow `json:"rows"`
	// Profile splits the CPU time of Sluice on small messages.
	Profile []Share `json:"profile,omitempty"`
}

// FleetRow is one thing measured. Ratio is of the rounds' ratios to the slower of
// what is measured beside it in the same round, all 0 for that itself.
type FleetRow struct {
	What    string  `json:"what"`
	Title   string  `json:"title"`
	Rate    Spread  `json:"messages_per_second"`
	MBytes  Spread  `json:"megabytes_per_second,omitzero"`   // of large messages
	CPU10k  float64 `json:"cpu_seconds_per_10000,omitempty"` // median, of small messages
	CPUGB   float64 `json:"cpu_seconds_per_gigabyte,omitempty"`
	StoreGB float64 `json:"store_cpu_seconds_per_gigabyte,omitempty"`
	Ratio   Spread  `json:"rate_to_slower_raw"`
	// Streamed is of the ratios to the raw upload whose stream comes over TCP.
	Streamed Spread   `json:"rate_to_raw_stream,omitzero"`
	Targets  []Target `json:"targets,omitempty"`
	Samples  []Sample `json:"samples"`
}

// least is how much of the slower library's rate Sluice must reach.
const least = 0.8

func newFleetReport(plan FleetPlan) *FleetReport {
	return &FleetReport{
		Large: plan.Large, Puts: min(putsAtOnce, plan.Load.Sessions),
		Rows: []*FleetRow{
			{What: rawPut, Title: "minio-go, PUT"},
			{What: rawProduce, Title: "franz-go, acks=all"},
			{What: Fleet, Title: "Sluice on MinIO and Kafka"},
			{What: rawLarge, Title: "minio-go, multipart, stream from memory"},
			{What: rawStream, Title: "minio-go, multipart, stream over TCP"},
			{What: fleetLarge, Title: "Sluice on MinIO and Kafka, large"},
		},
	}
}

func (r *FleetReport) row(what string) *FleetRow {
	for _, row := range r.Rows {
		if row.What == what {
			return row
		}
	}
	return nil
}

func rateOf(s Sample) float64 { return s.Rate }

func ratesOf(samples []Sample) []float64 {
	var rates []float64
	for _, s := range samples {
		rates = append(rates, s.Rate)
	}
	return rates
}

// conclude computes medians, ratios and targets.
func (r *FleetReport) conclude() {
	gigabytes := float64(r.Large.Size) * 10000 / 1e9 // in 10,000 large messages
	for _, row := range r.Rows {
		row.Rate = spreadOf(ratesOf(row.Samples))
		row.CPU10k = medianOf(row.Samples, func(s Sample) float64 { return s.CPU10k })
		if row.What == rawLarge || row.What == rawStream || row.What == fleetLarge {
			row.StoreGB = medianOf(row.Samples, func(s Sample) float64 { return s.Store10k }) / gigabytes
			row.MBytes = row.Rate.times(float64(r.Large.Size) / 1e6)
			row.CPU10k, row.CPUGB = 0, row.CPU10k/gigabytes
		}
	}
	r.row(Fleet).judge("messages/s", slower(r.row(rawPut).Samples, r.row(rawProduce).Samples))
	large := r.row(fleetLarge)
	large.judge("MB/s", r.row(rawLarge).Samples)
	large.Streamed = spreadOf(ratiosOf(large.Samples, r.row(rawStream).Samples, rateOf))
}

func (row *FleetRow) judge(unit string, raw []Sample) {
	row.Ratio = spreadOf(ratiosOf(row.Samples, raw, rateOf))
	row.Targets = []Target{{fmt.Sprintf("%s ≥ %.2fx", unit, least), row.Ratio.Median, row.Ratio.Median >= least}}
}

// slower returns, for each round, the sample with the lower rate.
func slower(a, b []Sample) []Sample {
	var all []Sample
	for i := range min(len(a), len(b)) {
		if a[i].Rate < b[i].Rate {
			all = append(all, a[i])
		} else {
			all = append(all, b[i])
		}
	}
	return all
}

func (r *FleetReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "On MinIO and Kafka, on the same cores: objects of %d bytes, %d PUTs at once; events of %d bytes; large messages of %d bytes, %d of %d at once. The raw rates are those of the client libraries without Sluice, with the same objects and events, taking turns with it; beside a median of the rounds stand the least and the most of them. CPU is that of the client's or of Sluice's process alone, beside it that of MinIO. A raw stream over TCP comes from another process, as mail does.\n\n",
		r.Object, r.Puts, r.Record, r.Large.Size, r.Large.Sessions, r.Large.Messages)
	b.WriteString("| What | messages/s | MB/s | to the slower raw rate | to the stream over TCP | CPU-s per 10,000 | CPU-s per GB | MinIO's | targets |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---|\n")
	for _, row := range r.Rows {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", row.Title, row.Rate.text(1, ""),
			row.MBytes.text(1, ""), row.Ratio.text(2, "x"), row.Streamed.text(2, "x"), number(row.CPU10k), number(row.CPUGB), number(row.StoreGB), verdict(row.Targets))
	}
	if len(r.Profile) == 0 {
		return
	}
	b.WriteString("\n| Sluice's CPU time, small messages | share | of it in the kernel |\n|---|---:|---:|\n")
	for _, s := range r.Profile {
		fmt.Fprintf(b, "| %s | %.0f %% | %.0f %% |\n", s.Of, s.All*100, s.Kernel*100)
	}
}

func number(value float64) string {
	if value == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", value)
}

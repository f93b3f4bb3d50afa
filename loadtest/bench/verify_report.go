package bench

import (
	"fmt"
	"strings"
)

// What is measured with verification.
const (
	verifyBulk     = "10 MiB: MB per CPU-second"
	verifyBulkRate = "10 MiB: MB/s"
	verifyRate     = "10 KiB: messages/s"
	verifyCPU      = "10 KiB: CPU-s per 10,000"
	verifyP50      = "10 KiB: final dot to answer, p50 in ms"
	verifyP99      = "10 KiB: final dot to answer, p99 in ms"
)

// VerifyReport is what a run with verification measured.
type VerifyReport struct {
	Load VerifyLoad `json:"load"`
	measured
	// Profiles split the CPU time of a Sluice that verifies.
	SmallProfile []Share `json:"small_profile,omitempty"`
	LargeProfile []Share `json:"large_profile,omitempty"`
}

func (r *VerifyReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "Verification on and off, nothing kept; all mail is signed by RSA-2048, relaxed/relaxed, and passes SPF, DKIM and DMARC; unbound on the same cores. %d messages of %d bytes in %d sessions; %d of %d bytes in %d sessions; %d small ones, one each %v, whose answers are timed. With a cold cache no answer of the DNS may be kept. Beside a median of the rounds stand the least and the most of them.\n\n",
		r.Load.Small.Messages, r.Load.Small.Size, r.Load.Small.Sessions, r.Load.Large, r.Load.Size, largeAtOnce, r.Load.Timed, timedEvery)
	b.WriteString("| What | off | on | ratio | on, cold cache | ratio |\n|---|---:|---:|---:|---:|---:|\n")
	for _, what := range []string{verifyBulk, verifyBulkRate, verifyRate, verifyCPU, verifyP50, verifyP99} {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", what, r.shown(what, verifyOff), r.shown(what, verifyOn),
			r.ratio(what, verifyOn, verifyOff).text(2, "x"), r.shown(what, verifyCold), r.ratio(what, verifyCold, verifyOff).text(2, "x"))
	}
	shares(b, "small messages", r.SmallProfile)
	shares(b, "large messages", r.LargeProfile)
}

func (r *VerifyReport) shown(what, name string) string {
	decimals := 0
	if what == verifyCPU || what == verifyP50 || what == verifyP99 {
		decimals = 2
	}
	return r.show(what, name, decimals)
}

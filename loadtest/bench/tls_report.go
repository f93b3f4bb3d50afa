package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What is measured with TLS.
const (
	tlsBulk      = "DATA, MB per CPU-second"
	tlsHandshake = "full handshake, ECDSA P-256, µs of CPU time"
	tlsIdle      = "idle after EHLO, bytes resident"
	tlsIdleAfter = "idle after a message of 1 MiB, bytes resident"
	tlsNoop      = "NOOP beside RSA-2048 handshakes, p99 in ms"
	tlsBeside    = "those handshakes, a second"
)

// TLSReport is what a run with TLS measured.
type TLSReport struct {
	Load TLSLoad `json:"load"`
	measured
	Targets []Target `json:"targets"`
	// Profiles split the CPU time of Sluice.
	BulkProfile      []Share `json:"bulk_profile,omitempty"`
	HandshakeProfile []Share `json:"handshake_profile,omitempty"`
}

// ratio is that of Sluice to the peer.
func (r *TLSReport) ratio(what string) Spread { return r.measured.ratio(what, sluice, GoSMTP) }

// Bounds of what is to be reached.
const (
	mostIdle      = 12_000 // bytes
	mostIdleRatio = 0.55
	mostIdleAfter = 0.6
	mostHandshake = 1.15
)

// conclude compares with what is to be reached.
func (r *TLSReport) conclude() {
	most := func(what, unit string, is, bound float64) {
		r.Targets = append(r.Targets, Target{fmt.Sprintf("%s ≤ %g%s", what, bound, unit), is, is <= bound})
	}
	bulk := r.ratio(tlsBulk).Median
	r.Targets = []Target{{tlsBulk + " ≥ 1x", bulk, bulk >= 1}}
	most(tlsHandshake, "x", r.ratio(tlsHandshake).Median, mostHandshake)
	most(tlsIdle, "", spreadOf(r.row(tlsIdle, sluice).Values).Median, mostIdle)
	most(tlsIdle, "x", r.ratio(tlsIdle).Median, mostIdleRatio)
	most(tlsIdleAfter, "x", r.ratio(tlsIdleAfter).Median, mostIdleAfter)
	most(tlsNoop, "x", r.ratio(tlsNoop).Median, 1)
}

func (r *TLSReport) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "TLS 1.3 with AES-128-GCM from the first byte on, the same certificate for all, nothing kept; clients on the same cores. %d messages of 1 MiB in %d sessions; %d handshakes, %d at a time; %d idle sessions (Postfix %d) that have rested for %v; %d sessions that say NOOP every %v beside %d clients that shake hands without end. Beside a median of the rounds stand the least and the most of them. Of Postfix only its smtpd processes count, and its queue is written; its OpenSSL may not know X25519MLKEM768.\n\n",
		r.Load.Bulk, bulkSessions, r.Load.Handshakes, handsAtOnce, r.Load.Idle, postfixSessions, r.Load.Rest, r.Load.Open, noopEvery, r.Load.Beside)
	b.WriteString("| What | Sluice | go-smtp | ratio | Postfix |\n|---|---:|---:|---:|---:|\n")
	for _, what := range []string{tlsBulk, tlsHandshake, tlsIdle, tlsIdleAfter, tlsNoop, tlsBeside} {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", what, r.shown(what, sluice), r.shown(what, GoSMTP),
			r.ratio(what).text(2, "x"), r.shown(what, postfix))
	}
	b.WriteString("\n| To reach | measured | |\n|---|---:|---|\n")
	for _, t := range r.Targets {
		verdict := "met"
		if !t.Met {
			verdict = "not met"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", t.What, strconv.FormatFloat(math.Round(t.Is*100)/100, 'f', -1, 64), verdict)
	}
	shares(b, "DATA", r.BulkProfile)
	shares(b, "handshakes", r.HandshakeProfile)
}

func (r *TLSReport) shown(what, server string) string {
	decimals := 0
	if what == tlsNoop {
		decimals = 1
	}
	return r.show(what, server, decimals)
}

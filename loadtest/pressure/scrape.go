package pressure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sluice/loadtest/process"
)

// Gate is what a gateway's metrics say of its gate.
type Gate struct {
	Fraction float64 // of the default class
	Cause    string  // of the fraction: what pressed, or open
	Lag      float64 // records, NaN while it is not known
	Age      float64 // seconds since the lag was last known
	Readings float64 // of the lag, those that were well
	Failed   float64 // readings that no broker answered
	Unknown  float64 // readings that found no such group
}

// ReadGate reads a gateway's metrics.
func ReadGate(ctx context.Context, g *process.Sluice) (Gate, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/metrics", nil)
	if err != nil {
		return Gate{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return Gate{}, err
	}
	defer answer.Body.Close()
	return parse(answer.Body)
}

func parse(page io.Reader) (g Gate, err error) {
	g.Fraction = -1
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		number, _ := strconv.ParseFloat(value, 64)
		g.take(name, number)
	}
	if g.Fraction < 0 {
		return g, fmt.Errorf("the page of metrics has no sluice_pressure_fraction: %w", lines.Err())
	}
	return g, lines.Err()
}

// take reads one sample. name is all of it but the closing brace.
func (g *Gate) take(name string, number float64) {
	metric, labels, _ := strings.Cut(name, "{")
	switch metric {
	case "sluice_pressure_fraction":
		if labels == `class="default"` {
			g.Fraction = number
		}
	case "sluice_pressure_cause":
		cause, found := strings.CutSuffix(strings.TrimPrefix(labels, `cause="`), `",class="default"`)
		if found && number == 1 {
			g.Cause = cause
		}
	case "sluice_lag_records":
		g.Lag = number
	case "sluice_lag_reading_age_seconds":
		g.Age = number
	case "sluice_lag_readings_total":
		switch _, result, _ := strings.Cut(labels, `result=`); result {
		case `"ok"`:
			g.Readings = number
		case `"failed"`:
			g.Failed = number
		case `"unknown_group"`:
			g.Unknown = number
		}
	}
}

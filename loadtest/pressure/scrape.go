package pressure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"sluice/loadtest/child"
)

// Gate is what a gateway's metrics say of its gate.
type Gate struct {
	Fraction float64 // of the default class
	Readings float64 // of the lag, those that were well
}

// ReadGate reads a gateway's metrics.
func ReadGate(ctx context.Context, g *child.Sluice) (Gate, error) {
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
		switch {
		case name == `sluice_pressure_fraction{class="default"`:
			g.Fraction = number
		case strings.HasPrefix(name, "sluice_lag_readings_total{") && strings.HasSuffix(name, `result="ok"`):
			g.Readings = number
		}
	}
	if g.Fraction < 0 {
		return g, fmt.Errorf("the page of metrics has no sluice_pressure_fraction: %w", lines.Err())
	}
	return g, lines.Err()
}

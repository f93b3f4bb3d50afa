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

// seen is what a gateway's metrics say of its gate.
type seen struct {
	fraction float64 // of the default class
	readings float64 // that were well
}

func scrape(ctx context.Context, g *child.Sluice) (seen, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/metrics", nil)
	if err != nil {
		return seen{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return seen{}, err
	}
	defer answer.Body.Close()
	return parse(answer.Body)
}

func parse(page io.Reader) (s seen, err error) {
	s.fraction = -1
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		number, _ := strconv.ParseFloat(value, 64)
		switch {
		case name == `sluice_pressure_fraction{class="default"`:
			s.fraction = number
		case strings.HasPrefix(name, "sluice_lag_readings_total{") && strings.HasSuffix(name, `result="ok"`):
			s.readings = number
		}
	}
	if s.fraction < 0 {
		return s, fmt.Errorf("the page of metrics has no sluice_pressure_fraction: %w", lines.Err())
	}
	return s, lines.Err()
}

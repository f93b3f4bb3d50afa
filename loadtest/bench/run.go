package bench

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Plan is one run of the benchmark.
type Plan struct {
	Load       Load
	Rounds     int
	Contenders []Contender
	Progress   io.Writer // a line for each measurement
}

// startPatience bounds the start of a server.
const startPatience = 30 * time.Second

// Run measures every contender in every mode in every round. In a round all
// contenders run at about the same time, the one after the other, so that what
// the machine does besides falls on all of them; each round starts with another.
// Each measurement is of a fresh process that has been warmed up.
func Run(ctx context.Context, plan Plan) (*Report, error) {
	report := newReport(plan)
	for round := range plan.Rounds {
		for turn := range plan.Contenders {
			contender := plan.Contenders[(round+turn)%len(plan.Contenders)]
			samples, err := plan.turn(ctx, contender)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contender.Name, err)
			}
			for _, mode := range modes {
				sample := samples[mode]
				report.add(contender.Name, mode, sample)
				fmt.Fprintf(plan.Progress, "round %d  %-10s %-7s %8.0f messages/s  %6.3f CPU-s per 10,000\n",
					round+1, contender.Name, mode, sample.Rate, sample.CPU10k)
			}
		}
	}
	return report, nil
}

// turn starts one contender, warms it up and measures it in every mode.
func (plan *Plan) turn(ctx context.Context, contender Contender) (map[Mode]Sample, error) {
	starting, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	p, address, err := contender.Start(starting)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	samples := map[Mode]Sample{}
	for _, mode := range modes {
		warmUp := plan.Load
		warmUp.Messages = max(plan.Load.Messages/10, plan.Load.Sessions)
		if err := warmUp.send(ctx, mode, address); err != nil {
			return nil, err
		}
		if samples[mode], err = plan.Load.measure(ctx, mode, p, address); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

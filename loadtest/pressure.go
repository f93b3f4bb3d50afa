package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"sluice/loadtest/plot"
	"sluice/loadtest/pressure"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// pressureCommand is `loadtest pressure`.
type pressureCommand struct {
	Gateways int           `default:"3" help:"Sluice processes."`
	Sessions int           `default:"100" help:"Sessions offered a second, all gateways together."`
	Low      int           `default:"200" help:"Lag at which shedding begins, in records."`
	High     int           `default:"1000" help:"Lag at which all is shed."`
	Interval time.Duration `default:"1s" help:"Between two readings of the lag."`
	KeepUp   time.Duration `default:"10s" help:"How long the indexer keeps up."`
	Halt     time.Duration `default:"30s" help:"How long it is stopped."`
	CatchUp  time.Duration `default:"30s" help:"How long it may catch up."`
	Out      string        `default:"docs/pressure" type:"path" help:"Drawing, without .svg and .png."`
}

// Run starts the fleet, runs the scenario and draws it.
func (c *pressureCommand) Run(ctx context.Context) error {
	scratch, err := os.MkdirTemp("", "sluice-pressure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	s := &pressure.Scenario{
		Topic: process.Topic, Group: "indexer", Low: c.Low, High: c.High, Interval: c.Interval,
		Sessions: c.Sessions,
		KeepUp:   c.KeepUp, Halt: c.Halt, CatchUp: c.CatchUp, Every: time.Second,
	}
	end, err := c.start(ctx, scratch, s)
	defer end()
	if err != nil {
		return err
	}
	samples, err := s.Run(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.Out), 0o755); err != nil {
		return err
	}
	figure := s.Figure(samples)
	for ending, write := range map[string]func(io.Writer, *plot.Figure) error{".svg": plot.WriteSVG, ".png": plot.WritePNG} {
		if err := writeDrawing(c.Out+ending, figure, write); err != nil {
			return err
		}
	}
	fmt.Println(pressure.Summary(samples))
	return nil
}

func writeDrawing(path string, figure *plot.Figure, write func(io.Writer, *plot.Figure) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file, figure), file.Close())
}

// start starts MinIO, Kafka and the gateways. end ends what runs, whatever the
// error.
func (c *pressureCommand) start(ctx context.Context, scratch string, s *pressure.Scenario) (end func(), err error) {
	var running []func()
	end = func() {
		for i := len(running) - 1; i >= 0; i-- {
			running[i]()
		}
	}
	folder := func(name string) string { return filepath.Join(scratch, name) }
	store, err := stack.StartMinIO(folder("minio"))
	if err != nil {
		return end, err
	}
	running = append(running, func() { _ = store.Kill() }) // it ends with us in any case
	log, err := stack.StartKafka(folder("kafka"))
	if err != nil {
		return end, err
	}
	running = append(running, func() { _ = log.Kill() })
	s.Broker = log.Bootstrap
	database, endDatabase, err := startDatabase()
	if err != nil {
		return end, err
	}
	running = append(running, endDatabase)
	s.Index = process.PostgresIndex(database.URL, s.Group)
	if err := log.CreateTopic(ctx, s.Topic, 3, nil); err != nil {
		return end, err
	}
	binary := folder("sluice")
	if err := process.Build(ctx, binary); err != nil {
		return end, err
	}
	for i := range c.Gateways {
		p, err := s.AddGateway(ctx, binary, folder("gateway-"+strconv.Itoa(i)), store)
		if err != nil {
			return end, err
		}
		running = append(running, p.Kill)
	}
	return end, nil
}

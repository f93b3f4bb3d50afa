package main

import (
	"math"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sluice/loadtest/child"
	"sluice/loadtest/pressure"
	"sluice/loadtest/stack"
)

// TestFleetSheds runs three gateways on MinIO and Kafka: while the consumer
// keeps up nobody is shed, when it stops all three shed, and the same share, and
// when it has caught up they take all again.
func TestFleetSheds(t *testing.T) {
	needs(t, "java")
	store, log := stack.MinIO(t), stack.Kafka(t)
	s := &pressure.Scenario{
		Broker: log.Bootstrap, Topic: "mail.received", Group: "indexer",
		Low: 60, High: 300, Interval: 200 * time.Millisecond, Sessions: 60, Consume: 400,
		KeepUp: 3 * time.Second, Halt: 12 * time.Second, CatchUp: 8 * time.Second, Every: 200 * time.Millisecond,
	}
	if err := log.CreateTopic(t.Context(), s.Topic, 3, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		g, err := child.NewSluice(gatewayBinary, filepath.Join(t.TempDir(), strconv.Itoa(i)), child.Fleet)
		if err != nil {
			t.Fatal(err)
		}
		g.Events, g.Topic, g.Config = s.Broker, s.Topic, s.Config()
		g.S3 = child.S3{Endpoint: store.Endpoint, Bucket: "mail", AccessKey: store.AccessKey, SecretKey: store.SecretKey}
		p, err := g.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		s.Gateways = append(s.Gateways, g)
	}
	samples, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var phases [3][3]pressure.Counts // by phase and gateway
	for _, sample := range samples {
		for i, c := range sample.Counts {
			sum := &phases[sample.Phase][i]
			sum.Offered, sum.Accepted, sum.Shed, sum.Failed = sum.Offered+c.Offered, sum.Accepted+c.Accepted, sum.Shed+c.Shed, sum.Failed+c.Failed
		}
	}
	t.Logf("offered, accepted, shed and failed by phase and gateway: %v", phases)
	for i := range s.Gateways {
		if kept := phases[pressure.KeepUp][i]; kept.Shed > 0 || kept.Accepted == 0 {
			t.Errorf("gateway %d, while the consumer kept up: %+v", i, kept)
		}
		for phase, counts := range phases {
			if counts[i].Failed > 0 {
				t.Errorf("gateway %d, phase %d: %+v", i, phase, counts[i])
			}
		}
	}
	shedsEvenly(t, phases[pressure.Halt])
	last := samples[len(samples)-1]
	for i, f := range last.Fraction {
		if f != 0 || last.Counts[i].Shed > 0 {
			t.Errorf("gateway %d sheds at the end, with a lag of %d: %v %+v", i, last.Lag, f, last.Counts[i])
		}
	}
	followsTheLag(t, s, samples)
}

// shedsEvenly compares the gateways' shares with the fleet's: a share of n
// sessions varies by sqrt(p(1−p)/n), and five times that happens once in a
// million.
func shedsEvenly(t *testing.T, halt [3]pressure.Counts) {
	t.Helper()
	var all pressure.Counts
	for _, c := range halt {
		all.Offered, all.Shed = all.Offered+c.Offered, all.Shed+c.Shed
	}
	p := float64(all.Shed) / float64(all.Offered)
	if p < 0.2 {
		t.Errorf("the fleet shed %.0f %% of the sessions while nobody consumed", 100*p)
	}
	for i, c := range halt {
		share, sigma := float64(c.Shed)/float64(c.Offered), math.Sqrt(p*(1-p)/float64(c.Offered))
		if math.Abs(share-p) > 5*sigma {
			t.Errorf("gateway %d shed %.1f %%, the fleet %.1f %% (sigma %.1f %%)", i, 100*share, 100*p, 100*sigma)
		}
	}
}

// followsTheLag looks at each gateway's fraction beside the lag: in two
// intervals and two samples it is what the lag asks for, at least.
func followsTheLag(t *testing.T, s *pressure.Scenario, samples []pressure.Sample) {
	t.Helper()
	late := int(2*s.Interval/s.Every) + 2
	for n := range samples {
		if n+late >= len(samples) || samples[n+late].Phase != pressure.Halt {
			continue
		}
		asked := float64(samples[n].Lag-int64(s.Low)) / float64(s.High-s.Low)
		for i, f := range samples[n+late].Fraction {
			if f < min(1, asked)-1e-9 {
				t.Errorf("gateway %d: lag %d at %s asks for %.2f; at %s it is %.2f",
					i, samples[n].Lag, samples[n].At, asked, samples[n+late].At, f)
			}
		}
	}
}

package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Loss is a time without some brokers of a cluster, under load.
type Loss struct {
	What         string  `json:"what"`
	Acknowledged int     `json:"acknowledged"`          // from its begin until mail went on for a while
	Pause        float64 `json:"pause_seconds"`         // the longest time without a 250
	Allowed      float64 `json:"pause_allowed_seconds"` // the promise
	Ended        float64 `json:"pause_ended_seconds"`   // when that pause ended, since the loss
	Then         int     `json:"then"`                  // 250s in the 3 s after it
	Returned     float64 `json:"returned_seconds"`      // when the brokers served again, since the loss
	Named        bool    `json:"named"`                 // whether the gateway's metrics named the broker
}

// Kinds of loss.
const (
	LossFrozen = "a broker frozen for 20 s"
	LossKilled = "a broker killed, back after 20 s"
	LossTwo    = "two brokers killed, back after 15 s"
)

// pauseAllowed is the promise for one broker. The cluster itself needs 9 s to give a
// broker up (broker.session.timeout.ms). Without two of three nothing is acknowledged
// until they serve again, and the time begins then.
const pauseAllowed = 12 * time.Second

// Lose takes brokers of plan.Cluster away, under load, in the named ways.
func Lose(ctx context.Context, plan Plan, losses []string) (*Report, error) {
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	for _, what := range losses {
		loss, err := d.lose(ctx, what)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		d.report.Losses = append(d.report.Losses, loss)
		fmt.Fprintf(plan.Progress, "%s: %d answered 250, longest pause %.1f s until %.1f s, then %d in 3 s; brokers back after %.1f s\n",
			what, loss.Acknowledged, loss.Pause, loss.Ended, loss.Then, loss.Returned)
	}
	return d.end(ctx)
}

// UseCluster points a gateway of kind process.Cluster at brokers, and makes its topic.
func UseCluster(ctx context.Context, gateway *process.Sluice, brokers *stack.KafkaCluster) error {
	gateway.Events = strings.Join(brokers.Bootstrap(), ",")
	return brokers.CreateTopic(ctx, gateway.Topic, 6)
}

// settled is how long mail must go on before and after a loss.
const settled = 3 * time.Second

// lose takes brokers away, one of them the leader of a partition, and brings them back.
func (d *drill) lose(ctx context.Context, what string) (Loss, error) {
	brokers := d.plan.Cluster
	if err := d.awaitMore(ctx, 0); err != nil {
		return Loss{}, err
	}
	if err := d.live(ctx, settled); err != nil {
		return Loss{}, err
	}
	leader, err := brokers.Leader(ctx, d.plan.Gateway.Topic, int32(d.random.IntN(6)))
	if err != nil {
		return Loss{}, err
	}
	victims := []*stack.Server{leader.Server}
	loss := Loss{What: what, Allowed: pauseAllowed.Seconds()}
	away, back, span := (*stack.Server).Kill, (*stack.Server).Restart, 20*time.Second
	switch what {
	case LossFrozen:
		away, back = (*stack.Server).Pause, (*stack.Server).Resume
	case LossTwo:
		victims = append(victims, another(d.random, brokers, leader).Server)
		span = 15 * time.Second
	}
	before, _ := d.ledger.Len()
	began := time.Now()
	if err := each(victims, away); err != nil {
		return loss, err
	}
	err = d.live(ctx, span)
	loss.Named = d.names(ctx, slices.Index(brokers.Brokers, leader)+1)
	if err := errors.Join(err, together(victims, back)); err != nil {
		return loss, err
	}
	loss.Returned = time.Since(began).Seconds()
	if what == LossTwo {
		loss.Allowed += loss.Returned
	}
	returned, _ := d.ledger.Len()
	if err := d.awaitMore(ctx, returned); err != nil {
		return loss, err
	}
	if err := d.live(ctx, settled); err != nil {
		return loss, err
	}
	receipts, err := d.ledger.Receipts()
	if err != nil {
		return loss, err
	}
	loss.Acknowledged = len(receipts) - before
	loss.note(receipts[before:], began)
	return loss, nil
}

// names reports whether the gateway's metrics say that a broker does not answer.
func (d *drill) names(ctx context.Context, broker int) bool {
	page, err := d.page(ctx)
	return err == nil && strings.Contains(page, fmt.Sprintf("sluice_broker_silent{broker=\"%d\"} 1\n", broker))
}

// note takes the pause and the resumption from the receipts that came since a loss.
func (l *Loss) note(receipts []client.Receipt, began time.Time) {
	moments := []time.Time{time.Now()}
	for _, r := range receipts {
		moments = append(moments, r.At)
	}
	slices.SortFunc(moments, time.Time.Compare)
	last := began
	for _, at := range moments {
		if gap := at.Sub(last).Seconds(); gap > l.Pause {
			l.Pause, l.Ended = gap, at.Sub(began).Seconds()
		}
		last = at
	}
	for _, at := range moments {
		if at.Sub(began).Seconds() >= l.Ended && at.Sub(began).Seconds() < l.Ended+3 {
			l.Then++
		}
	}
}

// another returns a broker that is not this one.
func another(random *rand.Rand, brokers *stack.KafkaCluster, than *stack.KafkaServer) *stack.KafkaServer {
	for {
		if k := brokers.Brokers[random.IntN(len(brokers.Brokers))]; k != than {
			return k
		}
	}
}

// together does the same to several servers at the same time: a broker alone may not
// serve before there is a majority.
func together(servers []*stack.Server, do func(*stack.Server) error) error {
	results := make(chan error, len(servers))
	for _, s := range servers {
		go func() { results <- do(s) }()
	}
	var errs []error
	for range servers {
		errs = append(errs, <-results)
	}
	return errors.Join(errs...)
}

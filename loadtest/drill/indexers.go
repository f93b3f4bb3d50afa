package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/loadtest/indexed"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Indexing is what a drill saw of the index behind a fleet.
type Indexing struct {
	Disturbed map[string]int `json:"disturbed"` // how often each was killed, or stood still
	Joined    int            `json:"members_joined"`
	Events    int            `json:"events"`
	Rows      int            `json:"rows"`
	Missing   []string       `json:"missing,omitempty"` // ids with an event and without a row
	Strange   []string       `json:"strange,omitempty"` // ids without an event, or with two rows
	Dead      int            `json:"dead_letters"`
	// CaughtUp is the time from the last 250 until all rows were there.
	CaughtUp float64 `json:"caught_up_seconds"`
}

// ok reports whether each event has one row and none is dead.
func (x *Indexing) ok() bool {
	return len(x.Missing) == 0 && len(x.Strange) == 0 && x.Dead == 0 && x.Rows == x.Events
}

// String is the report for people.
func (x *Indexing) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "index: %d events, %d rows, %d missing, %d strange, %d dead letters; %d members joined; caught up in %.1f s; disturbed:",
		x.Events, x.Rows, len(x.Missing), len(x.Strange), x.Dead, x.Joined, x.CaughtUp)
	for _, victim := range indexVictims {
		fmt.Fprintf(&b, " %s %d", victim, x.Disturbed[victim])
	}
	return b.String()
}

// VictimIndexer is an indexer that is killed, VictimDatabase the database of the index, and
// VictimStill the store, which stands still.
const (
	VictimIndexer  = "indexer"
	VictimDatabase = "postgres"
	VictimStill    = "minio stopped"
)

// indexVictims are disturbed in turn. Indexers are killed most often.
var indexVictims = []string{VictimIndexer, VictimDatabase, VictimStill, VictimLog}

// IndexTimes are those of a drill with indexers.
type IndexTimes struct {
	Length  time.Duration // of all
	Each    time.Duration // between two disturbances
	Still   time.Duration // how long the store stands still
	Come    time.Duration // how often a member comes, and one goes
	CatchUp time.Duration // how long the indexers may take in the end
}

// indexers are what a drill has running beside the gateway.
type indexers struct {
	*drill
	times    IndexTimes
	database *stack.PostgresServer
	seen     *Indexing

	steady  [2]*process.Process
	trouble error // of a member that comes and goes
}

// Index disturbs the indexers of a fleet, their database and what they read from, under
// load, and then looks for the row of each message. plan.Gateway has process.PostgresIndex.
func Index(ctx context.Context, plan Plan, database *stack.PostgresServer, times IndexTimes) (*Report, error) {
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	x := &indexers{drill: d, times: times, database: database, seen: &Indexing{Disturbed: map[string]int{}}}
	d.report.Index = x.seen
	defer x.killAll()
	if err := x.disturb(ctx); err != nil {
		return nil, err
	}
	sent := time.Now()
	report, err := d.end(ctx)
	if err != nil {
		return nil, err
	}
	if err := x.compare(ctx); err != nil {
		return nil, err
	}
	x.seen.CaughtUp = time.Since(sent).Seconds()
	return report, nil
}

func (x *indexers) killAll() {
	for _, p := range x.steady {
		if p != nil {
			p.Kill()
		}
	}
}

// startIndexer starts an indexer on a port of its own.
func (x *indexers) startIndexer(ctx context.Context) (p *process.Process, admin string, err error) {
	if admin, err = process.FreeAddress(); err != nil {
		return nil, "", err
	}
	starting, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	p, err = x.plan.Gateway.StartIndexer(starting, admin)
	return p, admin, err
}

// disturb has two indexers that are killed now and then, one that comes and goes, and a
// victim each time.
func (x *indexers) disturb(ctx context.Context) error {
	var err error
	for i := range x.steady {
		if x.steady[i], _, err = x.startIndexer(ctx); err != nil {
			return err
		}
	}
	coming, stop := context.WithCancel(ctx)
	var guest sync.WaitGroup
	guest.Go(func() { x.comeAndGo(coming) })
	defer guest.Wait()
	defer stop()
	over := time.Now().Add(x.times.Length)
	for n := 0; time.Now().Before(over); n++ {
		if err := x.live(ctx, x.times.Each); err != nil {
			return err
		}
		victim := VictimIndexer
		if n%2 == 1 {
			victim = indexVictims[1+n/2%(len(indexVictims)-1)]
		}
		if err := x.hit(ctx, victim); err != nil {
			return fmt.Errorf("%s: %w", victim, err)
		}
		x.seen.Disturbed[victim]++
		fmt.Fprintf(x.plan.Progress, "%s was disturbed\n", victim)
	}
	stop()
	guest.Wait()
	return x.trouble
}

// hit disturbs a victim, which is back afterwards.
func (x *indexers) hit(ctx context.Context, victim string) error {
	switch victim {
	case VictimDatabase:
		return errors.Join(x.database.Kill(), x.database.Restart())
	case VictimLog:
		return errors.Join(x.plan.Fleet.Log.Kill(), x.plan.Fleet.Log.Restart())
	case VictimStill:
		if err := x.plan.Fleet.Store.Pause(); err != nil {
			return err
		}
		return errors.Join(x.live(ctx, x.times.Still), x.plan.Fleet.Store.Resume())
	}
	i := x.random.IntN(len(x.steady))
	select {
	case <-x.steady[i].Ended():
		return fmt.Errorf("an indexer ended by itself:\n%s", x.steady[i].Output())
	default:
	}
	x.steady[i].Kill()
	var err error
	x.steady[i], _, err = x.startIndexer(ctx)
	return err
}

// comeAndGo has a member join the group again and again. It leaves in order or is killed.
func (x *indexers) comeAndGo(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		p, _, err := x.startIndexer(ctx)
		if err != nil {
			if ctx.Err() == nil {
				x.trouble = err
			}
			return
		}
		x.seen.Joined++
		await(ctx, x.times.Come)
		if n%2 == 1 {
			p.Kill()
			continue
		}
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		if err := p.Stop(ending); err != nil {
			x.trouble = fmt.Errorf("an indexer, SIGTERM: %w\n%s", err, p.Output())
		}
		cancel()
	}
}

// compare waits until the indexers have caught up, and compares the rows with the events.
func (x *indexers) compare(ctx context.Context) error {
	p, admin, err := x.startIndexer(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = p.Signal(syscall.SIGKILL) }()
	events, err := x.eventIDs(ctx)
	if err != nil {
		return err
	}
	x.seen.Events = len(events)
	catching, cancel := context.WithTimeout(ctx, x.times.CatchUp)
	defer cancel()
	asked := &indexed.Index{Address: admin}
	rows, err := asked.IDs(catching, nil)
	for ; err == nil && len(rows) < len(events); rows, err = asked.IDs(catching, nil) {
		if await(catching, time.Second); catching.Err() != nil {
			break
		}
	}
	if err != nil {
		return err
	}
	x.seen.Rows = len(rows)
	before := ""
	for _, id := range rows { // in descending order
		if _, ok := slices.BinarySearch(events, id); !ok || id == before {
			x.seen.Strange = append(x.seen.Strange, id)
		}
		before = id
	}
	slices.Sort(rows)
	for _, id := range events {
		if _, ok := slices.BinarySearch(rows, id); !ok {
			x.seen.Missing = append(x.seen.Missing, id)
		}
	}
	return x.countDead(ctx)
}

// eventIDs returns the ids of all events of the topic, each once.
func (x *indexers) eventIDs(ctx context.Context) (ids []string, err error) {
	at := x.plan.Gateway
	log, err := kgo.NewClient(kgo.SeedBrokers(at.Events), kgo.ConsumeTopics(at.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	left, err := endOf(ctx, log, at.Topic)
	if err != nil {
		return nil, err
	}
	for left > 0 {
		fetches := log.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		left -= fetches.NumRecords()
		fetches.EachRecord(func(r *kgo.Record) { ids = append(ids, string(r.Key)) })
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// endOf returns the number of records of a topic, 0 if there is none.
func endOf(ctx context.Context, log *kgo.Client, topic string) (records int, err error) {
	ends, err := kadm.NewClient(log).ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	ends.Each(func(end kadm.ListedOffset) { records += int(max(end.Offset, 0)) })
	return records, nil
}

func (x *indexers) countDead(ctx context.Context) error {
	log, err := kgo.NewClient(kgo.SeedBrokers(x.plan.Gateway.Events))
	if err != nil {
		return err
	}
	defer log.Close()
	x.seen.Dead, err = endOf(ctx, log, x.plan.Gateway.Topic+".dlq")
	return err
}

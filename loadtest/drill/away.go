package drill

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Absence is a time without an event log, under load.
type Absence struct {
	What    string  `json:"what"`
	Away    float64 `json:"away_seconds"`
	Stored  int     `json:"stored"`         // messages, while the log was away
	Allowed int     `json:"stored_allowed"` // the promise
	Orphans int     `json:"orphans"`        // of these that are known as such
	// From its return to the next 250, and the promise.
	Back        float64 `json:"back_seconds"`
	BackAllowed float64 `json:"back_allowed_seconds"`

	Begun int `json:"lines_begun"` // log lines that say that it began
	Ended int `json:"lines_ended"` // and that it ended
}

// Kinds of absence.
const (
	AbsentTopic  = "topic deleted and made again"
	AbsentBroker = "broker killed and started again"
)

const (
	// storedEach is how many messages a second may be stored while the log is away.
	storedEach = 2
	// returnedWithin is the promise after its return.
	returnedWithin = 10 * time.Second
	// A broker that was killed is let in again when the session of its former life is over
	// (broker.session.timeout.ms).
	brokerSession = 9 * time.Second
)

// ok reports whether the promises were kept. While the reason changes there may be a line
// a minute.
func (a *Absence) ok() bool {
	return a.Stored <= a.Allowed && a.Back <= a.BackAllowed &&
		a.Begun >= 1 && a.Begun <= 1+int(a.Away/60) && a.Ended == 1
}

// Withhold takes the event log of a fleet away for a time, in both ways, under load. What
// was acknowledged before the topic was deleted is not audited.
func Withhold(ctx context.Context, plan Plan, length time.Duration) (*Report, error) {
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	for _, what := range []string{AbsentTopic, AbsentBroker} {
		a, err := d.withhold(ctx, what, length)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		d.report.Absences = append(d.report.Absences, a)
		fmt.Fprintln(plan.Progress, a)
	}
	return d.end(ctx)
}

// String is the absence for people.
func (a *Absence) String() string {
	return fmt.Sprintf("%s after %.0f s: %d stored meanwhile, allowed %d, %d known orphans; mail %.1f s after its return, allowed %.0f; %d and %d log lines",
		a.What, a.Away, a.Stored, a.Allowed, a.Orphans, a.Back, a.BackAllowed, a.Begun, a.Ended)
}

func (d *drill) withhold(ctx context.Context, what string, length time.Duration) (*Absence, error) {
	if err := d.awaitMore(ctx, 0); err != nil {
		return nil, err
	}
	if err := d.live(ctx, settled); err != nil {
		return nil, err
	}
	lines := d.followLines(ctx)
	defer lines.end()
	stored, orphans, err := d.counts(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := d.takeLog(ctx, what, true); err != nil {
		return nil, err
	}
	if err := d.live(ctx, length); err != nil {
		return nil, err
	}
	a := &Absence{What: what, BackAllowed: returnedWithin.Seconds()}
	if what == AbsentBroker {
		a.BackAllowed += brokerSession.Seconds()
	}
	storedThen, _, err := d.counts(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.takeLog(ctx, what, false); err != nil {
		return nil, err
	}
	returned := time.Now()
	a.Away = returned.Sub(began).Seconds()
	// Each session may have had a message on its way.
	a.Stored, a.Allowed = storedThen-stored, d.plan.Sessions+int(storedEach*length.Seconds())
	before, _ := d.ledger.Len()
	if err := d.awaitMore(ctx, before); err != nil {
		return nil, err
	}
	a.Back = time.Since(returned).Seconds()
	if what == AbsentTopic {
		d.auditFrom = returned
	}
	if err := d.live(ctx, settled); err != nil {
		return nil, err
	}
	_, orphansThen, err := d.counts(ctx)
	a.Orphans = orphansThen - orphans
	a.Begun, a.Ended = lines.count("the event log cannot be used"), lines.count("the event log can be used again")
	return a, err
}

// takeLog takes the event log away, or brings it back.
func (d *drill) takeLog(ctx context.Context, what string, away bool) error {
	broker := d.plan.Fleet.Log
	switch {
	case what == AbsentBroker && away:
		return broker.Kill()
	case what == AbsentBroker:
		return broker.Restart()
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if away {
		deleted, err := admin.DeleteTopics(ctx, d.plan.Gateway.Topic)
		return errors.Join(err, deleted.Error())
	}
	_, err = admin.CreateTopic(ctx, 3, 1, nil, d.plan.Gateway.Topic)
	return err
}

// counts reads how many messages the gateway has stored, and its known orphans.
func (d *drill) counts(ctx context.Context) (stored, orphans int, err error) {
	page, err := d.page(ctx)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(page) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, _ := strconv.Atoi(value) // 0 for what is no whole number
		switch {
		case name == `sluice_store_duration_seconds_count{result="ok"}`:
			stored = n
		case strings.HasPrefix(name, "sluice_orphans_total{"):
			orphans += n
		}
	}
	return stored, orphans, nil
}

// lineFollower gathers what the gateway prints, of which only the last part is kept.
type lineFollower struct {
	mu    sync.Mutex
	seen  map[string]bool
	stop  context.CancelFunc
	ended chan struct{}
}

func (d *drill) followLines(ctx context.Context) *lineFollower {
	f := &lineFollower{seen: map[string]bool{}, ended: make(chan struct{})}
	ctx, f.stop = context.WithCancel(ctx)
	go func() {
		defer close(f.ended)
		for ctx.Err() == nil {
			f.read(d.gateway.Output())
			await(ctx, 100*time.Millisecond)
		}
	}()
	return f
}

// read notes the lines about the event log. Each has its time, so that none is counted
// twice.
func (f *lineFollower) read(output string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for line := range strings.Lines(output) {
		if strings.Contains(line, "the event log ca") {
			f.seen[line] = true
		}
	}
}

func (f *lineFollower) count(text string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for line := range f.seen {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (f *lineFollower) end() {
	f.stop()
	<-f.ended
}

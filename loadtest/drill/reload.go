package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/loadtest/client"
)

// Reloads are many reloads of the configuration, under load.
type Reloads struct {
	Done     int      `json:"done"`
	Checks   int      `json:"checks"`   // that witnesses made of what EHLO had announced
	Outlived int      `json:"outlived"` // the most reloads from an EHLO to such a check
	Renewed  int      `json:"renewed"`  // EHLOs of witnesses that announced something else than before
	Wrong    []string `json:"wrong"`    // a reply of another generation for each witness that had one
}

// ok reports whether the promise was kept, and whether there was something to see.
func (r *Reloads) ok() bool {
	return len(r.Wrong) == 0 && r.Done > 0 && r.Checks > 0 && r.Renewed > 0 && r.Outlived > 0
}

// String is the reloads for people.
func (r *Reloads) String() string {
	return fmt.Sprintf("%d reloads: %d checks of what EHLO had announced, over up to %d reloads, %d wrong; %d EHLOs announced something new",
		r.Done, r.Checks, r.Outlived, len(r.Wrong), r.Renewed)
}

// ReloadTimes are the times of a drill with reloads.
type ReloadTimes struct {
	Each   time.Duration // between two reloads
	Length time.Duration // of all
}

// Reload reloads the configuration again and again: it gives the gateway another name, another domain and another number of recipients
// by SIGHUP and under load. Witnesses look whether a session keeps what
// its EHLO announced.
func Reload(ctx context.Context, plan Plan, times ReloadTimes) (*Report, error) {
	setGeneration(&plan, 0)
	d, err := begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer d.abandon()
	if err := d.awaitMore(ctx, 0); err != nil {
		return nil, err
	}
	w := &witnesses{drill: d, report: &Reloads{}}
	witnessing, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	for i := range witnessCount {
		all.Go(func() { w.run(witnessing, rand.New(rand.NewPCG(plan.Seed, uint64(1000+i))), times.Each) })
	}
	generation := 0
	for end := time.Now().Add(times.Length); time.Now().Before(end); {
		if err := d.live(ctx, times.Each); err != nil {
			return nil, err
		}
		generation++
		if err := d.reload(ctx, generation); err != nil {
			return nil, err
		}
		w.note(func(r *Reloads) { r.Done = generation })
	}
	stop()
	all.Wait()
	d.report.Reloads = w.report
	return d.end(ctx)
}

const (
	generationHost      = "mx%d.example.net"
	generationDomain    = "g%d.example.org"
	generationLeast     = 100 // recipients
	generationMost      = 110
	generationRefused   = "550 5.7.1"
	generationSurplus   = "452 4.5.3"
	witnessCount        = 10
	witnessEach         = 100 * time.Millisecond
	reloadPatience      = 30 * time.Second
	generationReloadsOK = `sluice_config_reloads_total{result="ok"} `
)

// setGeneration sets what the gateway is configured to be in a generation.
func setGeneration(plan *Plan, generation int) {
	g := plan.Gateway
	g.Hostname = fmt.Sprintf(generationHost, generation)
	g.Accept = fmt.Sprintf(`{domains: [example.net, "`+generationDomain+`"]}`, generation)
	g.Config = fmt.Sprintf("limits: {recipients: %d}\n", recipientsOf(generation))
}

// recipientsOf returns the most recipients of a message in a generation.
func recipientsOf(generation int) int {
	return generationLeast + generation%(generationMost-generationLeast)
}

// reload makes the gateway take a generation.
func (d *drill) reload(ctx context.Context, generation int) error {
	setGeneration(&d.plan, generation)
	if _, err := d.plan.Gateway.Configure(); err != nil {
		return err
	}
	if err := d.gateway.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	want := generationReloadsOK + strconv.Itoa(generation) + "\n"
	for late := time.Now().Add(reloadPatience); time.Now().Before(late); {
		page, err := d.page(ctx)
		if err != nil {
			return err
		}
		if strings.Contains(page, want) {
			return nil
		}
		if err := d.live(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("reload %d was not done within %v:\n%s", generation, reloadPatience, d.gateway.Output())
}

// witnesses are sessions beside the load that look at what they were announced.
type witnesses struct {
	drill  *drill
	mu     sync.Mutex // of report
	report *Reloads
}

func (w *witnesses) run(ctx context.Context, random *rand.Rand, each time.Duration) {
	for ctx.Err() == nil {
		if err := w.session(ctx, random, each); err != nil {
			w.note(func(r *Reloads) { r.Wrong = append(r.Wrong, err.Error()) })
			return
		}
	}
}

func (w *witnesses) note(f func(*Reloads)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.report)
}

// session is one session of up to three EHLOs, each of which holds for some reloads.
func (w *witnesses) session(ctx context.Context, random *rand.Rand, each time.Duration) error {
	c, err := client.Dial(ctx, w.drill.plan.Gateway.SMTP)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = c.Close() }() // it has taken leave, or is of no more use
	for range 1 + random.IntN(3) {
		var generation int
		if _, err := fmt.Sscanf(c.Gateway(), generationHost, &generation); err != nil {
			return fmt.Errorf("EHLO announced %q: %w", c.Gateway(), err)
		}
		for end := time.Now().Add(time.Duration(random.Int64N(int64(4 * each)))); time.Now().Before(end); {
			if err := w.check(c, generation); err != nil {
				return fmt.Errorf("generation %d: %w", generation, err)
			}
			if await(ctx, witnessEach); ctx.Err() != nil {
				return nil
			}
		}
		before := c.Gateway()
		if err := c.Greet(); err != nil {
			return err
		}
		if c.Gateway() != before {
			w.note(func(r *Reloads) { r.Renewed++ })
		}
	}
	farewell, err := c.Leave()
	if err == nil && !strings.Contains(farewell, c.Gateway()) {
		err = fmt.Errorf("%s took leave with %q", c.Gateway(), farewell)
	}
	return err
}

// check sends recipients of the generation and of its neighbours, and one too many, and
// then a message.
func (w *witnesses) check(c *client.Conn, generation int) error {
	most := recipientsOf(generation)
	commands := []string{"MAIL FROM:<witness@example.org>"}
	want := []string{"250"}
	for g := max(0, generation-1); g <= generation+1; g++ {
		commands = append(commands, fmt.Sprintf("RCPT TO:<x@"+generationDomain+">", g))
		if g == generation {
			want = append(want, "250")
		} else {
			want = append(want, generationRefused)
		}
	}
	for n := 1; n <= most; n++ {
		commands = append(commands, fmt.Sprintf("RCPT TO:<%d@example.net>", n))
		want = append(want, "250")
	}
	want[len(want)-1] = generationSurplus
	if err := c.Write(strings.Join(append(commands, "RSET"), "\r\n") + "\r\n"); err != nil {
		return err
	}
	for i, w := range append(want, "250") {
		reply, err := c.ReadReply()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(strconv.Itoa(reply.Code)+" "+reply.Text, w) {
			return fmt.Errorf("%s was answered %w, want %s", append(commands, "RSET")[i], reply, w)
		}
	}
	receipt, err := c.Send(&client.Mail{From: "witness@example.org", To: []string{"recipient@example.net"},
		Content: []byte("Subject: witness\r\n\r\nwho are you?\r\n")})
	if err != nil {
		return errors.Join(errors.New("a message"), err)
	}
	w.drill.ledger.Add(receipt)
	w.note(func(r *Reloads) {
		r.Checks++
		r.Outlived = max(r.Outlived, r.Done-generation)
	})
	return nil
}

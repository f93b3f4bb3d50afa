package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/process"
	"sluice/loadtest/stack"
)

// Index is sluice index, which fills a database from the packs of a fleet.
const Index = "index"

// IndexPlan is one run of it.
type IndexPlan struct {
	Messages int
	Size     int // bytes of text in a message
	Rounds   int
	Sluice   string
	Scratch  string
	Progress io.Writer
	Profile  bool
}

// What is measured of an indexer, for each database and length of text that is indexed.
const (
	indexRate     = "events/s"
	indexCPU      = "CPU-s per 10,000"
	indexDatabase = "of the database"
	indexFetch    = "seconds of fetching"
	indexParse    = "seconds of parsing"
	indexInsert   = "seconds of inserting"
	indexResident = "resident MiB"
	indexDisk     = "KiB of database per message"
)

var indexColumns = []string{indexRate, indexCPU, indexDatabase, indexFetch, indexParse, indexInsert, indexResident, indexDisk}

// indexCase is a database and how much of each text it gets.
type indexCase struct{ store, text string }

func (c indexCase) String() string { return c.store + ", text " + c.text }

// profiled is the case of which profiles are taken.
var profiled = indexCase{"postgres", "4KiB"}

var indexCases = []indexCase{
	{"sqlite", "0"}, {"sqlite", "4KiB"}, {"sqlite", "64KiB"}, {"postgres", "0"}, profiled, {"postgres", "64KiB"},
}

type indexRun struct {
	*IndexPlan
	gateway *process.Sluice
	report  *IndexReport
	number  int
}

// RunIndex sends messages once and indexes them for each case in each round.
func RunIndex(ctx context.Context, plan IndexPlan) (*IndexReport, error) {
	s, err := startServers(plan.Scratch)
	if err != nil {
		return nil, err
	}
	defer s.close()
	p, gateway, err := s.startSluice(ctx, plan.Sluice, filepath.Join(plan.Scratch, Index), func(g *process.Sluice) {
		g.Config = "log: {format: json, messages: off}\n"
	})
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	run := &indexRun{IndexPlan: &plan, gateway: gateway, report: &IndexReport{Messages: plan.Messages, Size: plan.Size}}
	if err := run.send(ctx); err != nil {
		return nil, err
	}
	p.Kill()
	for round := range plan.Rounds {
		for i := range indexCases {
			c := indexCases[(round+i)%len(indexCases)]
			if err := run.turn(ctx, c, round == plan.Rounds-1 && plan.Profile && c == profiled); err != nil {
				return nil, fmt.Errorf("%s: %w", c, err)
			}
		}
	}
	return run.report, nil
}

// send sends the messages, each with a text of its own.
func (run *indexRun) send(ctx context.Context) error {
	const sessions = 500
	ledger := client.NewLedger(nil)
	senders := client.Senders{
		Address: run.gateway.SMTP, Sessions: sessions, Limit: int64(run.Messages), Seed: 1, Ledger: ledger,
		Compose: func(number int64) *client.Mail {
			return &client.Mail{From: fmt.Sprintf("sender-%d@example.org", number%997), To: []string{fmt.Sprintf("recipient-%d@example.net", number%9973)}, Content: run.mail(number)}
		},
	}
	began := time.Now()
	senders.Run(ctx, ctx)
	if got, _ := ledger.Len(); got != run.Messages {
		return fmt.Errorf("%d of %d messages were answered 250, %+v", got, run.Messages, senders.Tally())
	}
	run.report.Accepted = float64(run.Messages) / time.Since(began).Seconds()
	return nil
}

// mail returns a mail whose words are as often as those of a language (Zipf's law), of
// 20,000 in all.
func (run *indexRun) mail(number int64) []byte {
	random := rand.New(rand.NewPCG(7, uint64(number)))
	word := func() string {
		rank := uint64(math.Pow(20000, random.Float64()))
		const letters = "etaoinshrdlucmfwypvbgkjqxz"
		var w []byte
		for at := rank*2654435761%(1<<20) + 26; at > 0; at /= 26 {
			w = append(w, letters[at%26])
		}
		return string(w)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s %s <sender-%d@example.org>\r\nTo: recipient-%d@example.net\r\nSubject: %s %s %s %d\r\n"+
		"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d.bench@example.org>\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
		word(), word(), number%997, number%9973, word(), word(), word(), number, number)
	for b.Len() < run.Size {
		for range 10 {
			b.WriteString(word() + " ")
		}
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// database is where a case has its rows.
type database struct {
	yaml string
	pid  int    // of a server, or 0
	dir  string // its files
	end  func()
}

func (run *indexRun) database(c indexCase) (*database, error) {
	dir, err := os.MkdirTemp("", "sluice-bench-index-")
	if err != nil {
		return nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	if c.store == "sqlite" {
		return &database{fmt.Sprintf("sqlite: {path: %q}", filepath.Join(dir, "index.db")), 0, dir, remove}, nil
	}
	server, err := stack.StartPostgres(dir)
	if err != nil {
		remove()
		return nil, err
	}
	return &database{fmt.Sprintf("postgres: {url: %q}", server.URL), server.PID(), dir, func() {
		_ = server.Stop() // asked: a killed one leaves its shared memory in the kernel
		remove()
	}}, nil
}

// turn indexes all messages with a fresh group and a fresh database.
func (run *indexRun) turn(ctx context.Context, c indexCase, withProfile bool) error {
	d, err := run.database(c)
	if err != nil {
		return err
	}
	defer d.end()
	run.number++
	run.gateway.Config = fmt.Sprintf("index: {store: %s, group: bench-%d, text: %s, %s}\n", c.store, run.number, c.text, d.yaml)
	admin, err := process.FreeAddress()
	if err != nil {
		return err
	}
	diskBefore := size(d.dir)
	p, err := run.gateway.StartIndexer(ctx, admin)
	if err != nil {
		return err
	}
	defer p.Kill()
	t := indexTurn{run, c, p, admin, d.pid}
	work := func() error { return t.measure(ctx) }
	if withProfile {
		run.report.Profile = profiler{p, run.Scratch, run.Progress}.profile(ctx, work)
	} else if err := work(); err != nil {
		return err
	}
	run.report.add(c, indexDisk, float64(size(d.dir)-diskBefore)/float64(run.Messages)/1024)
	return nil
}

// indexTurn is an indexer that runs.
type indexTurn struct {
	*indexRun
	is       indexCase
	process  *process.Process
	admin    string
	database int // the process of a database server, or 0
}

// measure waits until the indexer is done with all events.
func (t *indexTurn) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	databaseBefore, err := familyCPU(t.database)
	if err != nil {
		return err
	}
	var began, ended time.Time
	var page string
	for ended.IsZero() {
		if page, err = metricsOf(ctx, t.admin); err != nil {
			return fmt.Errorf("%w\n%s", err, t.process.Output())
		}
		done := sampleOf(page, `sluice_index_events_total{result="indexed"}`)
		switch {
		case int(done) >= t.Messages:
			ended = time.Now()
		case done == 0: // it joins its group
			began = time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%.0f of %d: %w\n%s", done, t.Messages, ctx.Err(), t.process.Output())
		case <-time.After(10 * time.Millisecond):
		}
	}
	used, err := t.process.CPU()
	if err != nil {
		return err
	}
	databaseAfter, err := familyCPU(t.database)
	if err != nil {
		return err
	}
	resident, err := t.process.Resident()
	if err != nil {
		return err
	}
	each := 10000 / float64(t.Messages)
	for what, value := range map[string]float64{
		indexRate: float64(t.Messages) / ended.Sub(began).Seconds(), indexCPU: used.Seconds() * each,
		indexDatabase: (databaseAfter - databaseBefore).Seconds() * each, indexResident: float64(resident) / (1 << 20),
		indexFetch:  sampleOf(page, "sluice_index_fetch_seconds_total") * each,
		indexParse:  sampleOf(page, "sluice_index_parse_seconds_total") * each,
		indexInsert: sampleOf(page, "sluice_index_insert_duration_seconds_sum") * each,
	} {
		t.report.add(t.is, what, value)
	}
	fmt.Fprintf(t.Progress, "%-24s %9.1f events/s\n", t.is, float64(t.Messages)/ended.Sub(began).Seconds())
	return nil
}

// familyCPU returns the CPU time of a process and its children, those that have ended too;
// 0 for no process.
func familyCPU(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	children, err := process.Children(pid)
	if err != nil {
		return 0, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	const userTime, times, ticks = 11, 4, 100 // utime, stime, cutime, cstime (proc(5))
	fields := strings.Fields(rest)
	if len(fields) < userTime+times {
		return 0, errors.New("no times in /proc/PID/stat")
	}
	var all time.Duration
	for _, field := range fields[userTime : userTime+times] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		all += time.Duration(n) * time.Second / ticks
	}
	for child := range children {
		if used, err := process.CPU(child); err == nil { // it may have ended
			all += used
		}
	}
	return all, nil
}

func metricsOf(ctx context.Context, admin string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	return string(page), err
}

// sampleOf returns the value of a sample on a page of metrics, 0 if it is not there.
func sampleOf(page, name string) float64 {
	_, rest, _ := strings.Cut(page, "\n"+name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	value, _ := strconv.ParseFloat(line, 64)
	return value
}

// size returns the bytes of the files of a folder.
func size(dir string) (bytes int64) {
	_ = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil // it may have gone
	})
	return bytes
}

package stress

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Names of metrics that scenarios look at.
const (
	metricGoroutines = "go_goroutines"
	metricSessions   = "sluice_sessions_open"
	metricPaused     = "sluice_sessions_paused"
	metricBodies     = "sluice_body_memory_bytes"
	metricWaiters    = "sluice_credit_waiters"
)

// sample is a process at one moment.
type sample struct {
	resident    int64 // bytes
	descriptors int
	metrics     map[string]float64 // by name with labels
}

// cpu is the CPU time that the process has used: utime and stime of proc(5), which stand
// behind its name in hundredths of a second.
func (s *instance) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.PID()))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const utime, stime = 11, 12
	var sum time.Duration
	for _, at := range []int{utime, stime} {
		ticks, err := strconv.Atoi(fields[at])
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * time.Second / 100
	}
	return sum, nil
}

// look takes a sample.
func (s *instance) look(ctx context.Context) (sample, error) {
	var now sample
	var err error
	if now.resident, err = s.process.Resident(); err != nil {
		return now, err
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.PID()))
	if err != nil {
		return now, err
	}
	now.descriptors = len(files)
	now.metrics, err = s.scrape(ctx)
	return now, err
}

// reader keeps no connection: one that waits would count as the process's own.
var reader = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// scrape reads the page of metrics.
func (s *instance) scrape(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := reader.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	page := map[string]float64{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || lines.Text()[0] == '#' {
			continue
		}
		if number, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			page[lines.Text()[:at]] = number
		}
	}
	return page, lines.Err()
}

// peaks are the highest values that a watch has seen.
type peaks struct {
	all sync.WaitGroup
	end context.CancelFunc

	mu       sync.Mutex
	resident int64
	metrics  map[string]float64
	err      error
}

const (
	residentEvery = 50 * time.Millisecond
	scrapeEvery   = 500 * time.Millisecond
)

// watch samples the process until stop is called.
func (s *instance) watch(ctx context.Context) *peaks {
	p := &peaks{metrics: map[string]float64{}}
	ctx, p.end = context.WithCancel(ctx)
	p.all.Go(func() { p.repeat(ctx, residentEvery, func() error { return p.noteResident(s) }) })
	p.all.Go(func() { p.repeat(ctx, scrapeEvery, func() error { return p.noteMetrics(ctx, s) }) })
	return p
}

func (p *peaks) repeat(ctx context.Context, every time.Duration, look func() error) {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		if err := look(); err != nil && ctx.Err() == nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *peaks) noteResident(s *instance) error {
	now, err := s.process.Resident()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resident = max(p.resident, now)
	return err
}

func (p *peaks) noteMetrics(ctx context.Context, s *instance) error {
	page, err := s.scrape(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, value := range page {
		p.metrics[name] = max(p.metrics[name], value)
	}
	return err
}

// stop ends a watch. Its error is the last one in looking: a process that cannot
// be looked at, or a page of metrics that does not come in time.
func (p *peaks) stop() error {
	p.end()
	p.all.Wait()
	return p.err
}

// await waits until a condition holds of the process, or patience is over; then
// it gives the last sample all the same. A page of metrics that does not come in time is
// asked for again.
func (s *instance) await(ctx context.Context, patience time.Duration, holds func(sample) bool) (sample, error) {
	for end := time.Now().Add(patience); ; {
		now, err := s.look(ctx)
		if err == nil && holds(now) || time.Now().After(end) {
			return now, err
		}
		if err := s.pass(ctx, 100*time.Millisecond); err != nil {
			return now, err
		}
	}
}

// settle waits until no session is open and returns the process then.
func (s *instance) settle(ctx context.Context) (sample, error) {
	return s.await(ctx, 30*time.Second, func(now sample) bool { return now.metrics[metricSessions] == 0 })
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// inMiB is a number of bytes for people.
func inMiB(octets int64) float64 { return float64(octets) / mib }

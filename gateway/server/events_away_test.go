package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/gateway/config"
	"sluice/internal/testkit"
	"sluice/internal/testkit/kafkatest"
)

func useBrokers(c *config.Config, addresses ...string) {
	c.Events.Kind, c.Events.Kafka.Brokers = config.KindKafka, addresses
	c.Store.Packing = config.PackingOff
}

// crowd is senders that send message after message, each in one session for as long as it
// is let, until they are told to stop.
type crowd struct {
	stop    chan struct{}
	senders sync.WaitGroup
	mu      sync.Mutex
	replies map[string]int // by code and what was answered

	inFlight atomic.Int32 // messages from DATA until the reply to their dot
}

func (r *running) crowd(n int) *crowd {
	c := &crowd{stop: make(chan struct{}), replies: map[string]int{}}
	for range n {
		c.senders.Go(func() {
			for !c.stopped() {
				c.session(r.reactor.Addresses()[0])
			}
		})
	}
	return c
}

func (c *crowd) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// session sends until a reply ends the session.
func (c *crowd) session(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	say := func(what, text string) (code string) {
		_, _ = fmt.Fprint(conn, text)
		line, _ := in.ReadString('\n')
		if code = strings.TrimSpace(line[:min(len(line), 3)]); code != "" {
			c.mu.Lock()
			c.replies[code+" "+what]++
			c.mu.Unlock()
		}
		return code
	}
	if say("greeting", "") != "220" || say("HELO", "HELO x\r\n") != "250" {
		time.Sleep(5 * time.Millisecond) // as a sender that was turned away does
		return
	}
	for !c.stopped() {
		if say("MAIL", "MAIL FROM:<a@example.com>\r\n") != "250" || say("RCPT", "RCPT TO:<b@example.net>\r\n") != "250" {
			return
		}
		c.inFlight.Add(1)
		answered := say("DATA", "DATA\r\n") == "354" && say("dot", "Subject: x\r\n\r\nx\r\n.\r\n") != ""
		c.inFlight.Add(-1)
		if !answered {
			return
		}
	}
}

// count returns how often a reply was given so far.
func (c *crowd) count(reply string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies[reply]
}

func (c *crowd) end() {
	close(c.stop)
	c.senders.Wait()
}

// sample returns the value of a series of /metrics.
func (r *running) sample(t *testing.T, series string) int {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(r.metricsPage(t))
	if found == nil {
		t.Fatalf("no %s", series)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPublishesFail checks that while the log refuses every event, two messages a second
// are stored to see whether it still does, whoever else sends is told 421 before DATA,
// and mail is taken as soon as the log takes events.
func TestPublishesFail(t *testing.T) {
	const senders, watched = 20, 5
	log := captureLog(t)
	b := kafkatest.Start(t, "mail")
	r := launch(t, func(c *config.Config) { useBrokers(c, b.ListenAddrs()...); c.Events.Topic = "mail" })
	stored := func() int { return r.sample(t, `sluice_store_duration_seconds_count{result="ok"}`) }
	c := r.crowd(senders)
	testkit.Eventually(t, "mail is taken", func() bool { return c.count("250 dot") > 10 })
	b.Refuse(kerr.TopicAuthorizationFailed)
	testkit.Eventually(t, "mail is turned away", func() bool { return c.count("421 greeting") > 0 })
	testkit.Eventually(t, "the log is known to be away", func() bool { return r.sample(t, "sluice_events_usable") == 0 })
	var began time.Time
	testkit.Eventually(t, "what was on its way has its reply", func() bool {
		began = time.Now()
		return c.inFlight.Load() == 0
	})
	before := stored()
	var n int
	testkit.Eventually(t, "some messages are stored", func() bool {
		n = stored() - before
		return n >= watched
	})
	took := time.Since(began)
	if most := int(2*took.Seconds()) + 2; n > most {
		t.Errorf("%d messages stored in %v, want at most %d", n, took, most)
	}
	r.expectAway(t)
	testkit.Eventually(t, "orphans of refused events are removed", func() bool { return r.sample(t, `sluice_orphans_total{fate="removed"}`) > 0 })
	r.expectSample(t, `sluice_orphans_total{fate="kept"} 0`)
	testkit.Eventually(t, "no object is left without an event", func() bool { return r.storedObjects(t) <= c.count("250 dot")+1 })
	b.Take()
	taken := c.count("250 dot")
	testkit.Eventually(t, "mail is taken again", func() bool { return c.count("250 dot") > taken+2*senders })
	r.expectSample(t, "sluice_events_usable 1")
	c.end()
	r.end(t)
	expectLines(t, log(), 1, 1)
}

// expectAway checks what a gateway says of itself while its event log cannot be used.
func (r *running) expectAway(t *testing.T) {
	t.Helper()
	r.expectSample(t, "sluice_events_usable 0")
	r.expectSample(t, "sluice_store_usable 1")
	testkit.Eventually(t, "the gate has decided", func() bool {
		return r.sample(t, `sluice_pressure_cause{cause="events_errors",class="default"}`) == 1
	})
	code, text := r.page(t, "/readyz")
	if code != http.StatusOK || !strings.Contains(text, "the event log cannot be used") {
		t.Errorf("/readyz: %d %q", code, text)
	}
}

// expectLines checks how often the log says that the event log cannot be used, and that it
// can be used again.
func expectLines(t *testing.T, log string, begun, ended int) {
	t.Helper()
	b, e := strings.Count(log, "the event log cannot be used"), strings.Count(log, "the event log can be used again")
	if b != begun || e != ended {
		t.Errorf("%d lines when it begins, %d when it ends, want %d and %d", b, e, begun, ended)
	}
}

// TestBrokersComeLater checks that a gateway whose brokers are away from the start says so
// at once, tells every sender 421 at the greeting and stores nothing.
func TestBrokersComeLater(t *testing.T) {
	log := captureLog(t)
	away := newBucket(t)
	r := launch(t, func(c *config.Config) { useBrokers(c, away.address) })
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(log(), "the event log cannot be used") })
	if got := r.send(t); !strings.HasPrefix(got, "421 ") {
		t.Errorf("got %q", got)
	}
	r.expectAway(t)
	if !strings.Contains(log(), "connection refused") {
		t.Error("the log does not say why")
	}
	if n := r.sample(t, `sluice_store_duration_seconds_count{result="ok"}`); n != 0 {
		t.Errorf("%d messages stored", n)
	}
	r.end(t)
	expectLines(t, log(), 1, 0)
}

// TestEmbeddedLogFails checks that an embedded log that has failed for good shuts the gate
// with the first message, whose object is removed.
func TestEmbeddedLogFails(t *testing.T) {
	log := captureLog(t)
	r := launch(t, func(c *config.Config) { c.Store.Packing = config.PackingOff })
	r.oneMail(t)
	partition := filepath.Join(r.config.EventsDir(), "partitions", r.config.Events.Topic+"-0")
	if err := os.Rename(partition, partition+".gone"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the log has failed", func() bool { return strings.Contains(log(), "the event log has failed") })
	if got := r.send(t); !strings.HasPrefix(got, "451 4.3.0 ") {
		t.Errorf("got %q", got)
	}
	testkit.Eventually(t, "mail is turned away", func() bool { return strings.HasPrefix(r.send(t), "421 ") })
	r.expectAway(t)
	testkit.Eventually(t, "the log says so", func() bool { return strings.Contains(log(), "the event log cannot be used") })
	testkit.Eventually(t, "no object is left without an event", func() bool { return r.storedObjects(t) == 1 })
	r.cancel()
	<-r.ended // what it says of its log is not of interest here
	expectLines(t, log(), 1, 0)
}

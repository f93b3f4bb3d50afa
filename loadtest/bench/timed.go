package bench

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
)

// Latency is the time from final dots to their 250, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

func latencyOf(times []float64) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	slices.Sort(times)
	at := func(part float64) float64 { return times[min(int(part*float64(len(times))), len(times)-1)] }
	return Latency{P50: at(0.5), P99: at(0.99)}
}

// deliverer delivers messages, one after another.
type deliverer interface {
	// deliver returns the time from the last byte to the answer.
	deliver(ctx context.Context, content string) (time.Duration, error)
	close()
}

// opener opens a session.
type opener func(ctx context.Context) (deliverer, error)

// timedLoad is delivered by clients of ours, which time each message's end.
type timedLoad struct {
	messages, sessions int
	size               func(n int) int // bytes of the n-th message, about
	// pace is the time between two messages' beginnings, 0 for as fast as the
	// answers come.
	pace time.Duration
}

// smallest that is not counted as small: a large message goes to the store alone.
const largeFrom = 1 << 20

// send returns the latency of the small messages.
func (l timedLoad) send(ctx context.Context, open opener) (Latency, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	content := string(LargeContent(largestMixed))
	var begun atomic.Int64
	start := time.Now()
	var mu sync.Mutex
	var times []float64
	var all sync.WaitGroup
	for range l.sessions {
		all.Go(func() {
			session, err := open(ctx)
			if err != nil {
				fail(err)
				return
			}
			defer session.close()
			var own []float64
			for n := begun.Add(1); n <= int64(l.messages) && ctx.Err() == nil; n = begun.Add(1) {
				time.Sleep(time.Until(start.Add(time.Duration(n) * l.pace)))
				size := l.size(int(n))
				took, err := session.deliver(ctx, lines(content, size))
				if err != nil {
					fail(err)
					return
				}
				if size < largeFrom {
					own = append(own, took.Seconds()*1000)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
		})
	}
	all.Wait()
	return latencyOf(times), context.Cause(ctx)
}

// overSMTP opens sessions to a server.
func overSMTP(address string) opener {
	return func(ctx context.Context) (deliverer, error) {
		conn, err := client.Dial(ctx, address)
		return &smtpSession{conn: conn}, err
	}
}

type smtpSession struct {
	conn     *client.Conn
	from     string // "" for one of example.org
	answered bool   // the last message
}

// close takes leave only where the server can understand it.
func (s *smtpSession) close() {
	if s.answered {
		_ = s.conn.Quit()
		return
	}
	_ = s.conn.Close()
}

func (s *smtpSession) deliver(_ context.Context, content string) (time.Duration, error) {
	s.answered = false
	conn := s.conn
	if err := conn.Begin(&client.Mail{From: cmp.Or(s.from, "sender@example.org"), To: []string{"recipient@example.net"}}); err != nil {
		return 0, err
	}
	if err := conn.Write(content); err != nil {
		return 0, err
	}
	began := time.Now()
	err := conn.Command(250, ".")
	s.answered = err == nil
	return time.Since(began), err
}

// lines returns the whole lines of content's first bytes.
func lines(content string, octets int) string {
	return content[:strings.LastIndex(content[:octets], "\r\n")+2]
}

// always is a size for all messages.
func always(size int) func(int) int { return func(int) int { return size } }

const (
	typicalMixed  = 20 << 10
	largeMixed    = 5 << 20
	largestMixed  = 20 << 20
	largeOneIn    = 100
	mixedSpread   = 1.0 // of the sizes' logarithm
	smallestMixed = 500
)

// smallMixed returns sizes that are log-normal around 20 KiB. They follow from n alone.
func smallMixed(n int) int {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	size := int(typicalMixed * math.Exp(mixedSpread*r.NormFloat64()))
	return min(max(size, smallestMixed), largeFrom-1)
}

// mixed makes one of a hundred of these 5 to 20 MiB large.
func mixed(n int) int {
	if n%largeOneIn != 0 {
		return smallMixed(n)
	}
	return largeMixed + rand.New(rand.NewPCG(uint64(n), 2)).IntN(largestMixed-largeMixed)
}

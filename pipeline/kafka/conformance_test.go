package kafka_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"sluice/pipeline/embedded"
	"sluice/pipeline/kafka"
	"sluice/pipeline/porttest"
)

const topic = "mail.received"

// startBroker starts a broker with an empty topic.
func startBroker(t *testing.T, o embedded.Options) *embedded.Broker {
	t.Helper()
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	o.Topic = topic
	b, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func openLog(t *testing.T, o kafka.Options) *kafka.Log {
	t.Helper()
	o.Topic = topic
	l, err := kafka.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close() // a test checks the error if it matters
		if depth := l.Depth(); depth != 0 {
			t.Errorf("depth %d after Close", depth)
		}
	})
	return l
}

// valve is a TCP proxy to a broker that can be stalled: connections stay open and nothing
// goes through. The client dials the broker only through it.
type valve struct {
	mu   sync.RWMutex // held for writing while closed
	halt bool
	cond *sync.Cond
}

func newValve() *valve {
	v := &valve{}
	v.cond = sync.NewCond(&v.mu)
	return v
}

func (v *valve) close() (open func()) {
	v.mu.Lock()
	v.halt = true
	v.mu.Unlock()
	return func() {
		v.mu.Lock()
		v.halt = false
		v.mu.Unlock()
		v.cond.Broadcast()
	}
}

func (v *valve) pass() {
	v.mu.Lock()
	for v.halt {
		v.cond.Wait()
	}
	v.mu.Unlock()
}

// dial returns one end of a pipe whose other end is copied to the broker.
func (v *valve) dial(ctx context.Context, network, host string) (net.Conn, error) {
	var dialer net.Dialer
	far, err := dialer.DialContext(ctx, network, host)
	if err != nil {
		return nil, err
	}
	near, middle := net.Pipe()
	carry := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			v.pass()
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go carry(far, middle)
	go carry(middle, far)
	return near, nil
}

var _ io.Closer = (*kafka.Log)(nil)

func TestConformance(t *testing.T) {
	porttest.EventLog(t, func(t *testing.T) porttest.LogUnderTest {
		b := startBroker(t, embedded.Options{Partitions: 3})
		v := newValve()
		o := kafka.Options{
			Brokers: []string{b.Addr()},
			Queue:   1000,
			Timeout: 15 * time.Second,
			Dial:    v.dial,
			Durable: b,
		}
		l := openLog(t, o)
		return porttest.LogUnderTest{
			Log:      l,
			Read:     kafka.NewReader(kafka.Options{Brokers: o.Brokers, Topic: topic}).Read,
			Close:    l.Close,
			Stall:    v.close,
			SetLimit: func(bytes int) { setMaxMessage(t, b.Addr(), topic, bytes) },
		}
	})
}

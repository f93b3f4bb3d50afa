package stress

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sluice/loadtest/client"
	"sluice/loadtest/drill"
	"sluice/loadtest/process"
)

// SilentStore is a store whose connections fall silent, all that are open, while new ones
// work; then one that refuses connections for a moment.
type SilentStore struct {
	Sessions int
	Steady   time.Duration // of load before and after
	Refusal  time.Duration
	Back     float64 // seconds until mail is stored again
}

// Name of the scenario.
func (o SilentStore) Name() string {
	return fmt.Sprintf("%d senders, all connections to the store swallowed, then refused for %v", o.Sessions, o.Refusal)
}

// Run brings both under load.
func (o SilentStore) Run(ctx context.Context, env *Env) (*Row, error) {
	folder := filepath.Join(env.Scratch, "silent-store")
	fleet, err := drill.StartFleet(folder)
	if err != nil {
		return nil, err
	}
	defer fleet.Kill()
	network, err := openRelay(fleet.Store.Endpoint)
	if err != nil {
		return nil, err
	}
	defer network.close()
	gateway, err := process.NewSluice(env.Binary, filepath.Join(folder, "gateway"), process.Fleet)
	if err != nil {
		return nil, err
	}
	fleet.Use(gateway)
	gateway.S3.Endpoint = network.address()
	inst, err := start(ctx, gateway)
	if err != nil {
		return nil, err
	}
	defer inst.close()
	ledger := client.NewLedger(nil)
	senders := &client.Senders{
		Address: inst.SMTP, Sessions: o.Sessions, Seed: 1, Compose: client.Composer{Seed: 1}.Compose, Ledger: ledger,
	}
	closing, finish := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		senders.Run(ctx, closing)
		close(ended)
	}()
	row := &Row{Scenario: o.Name()}
	swallow := func() error { network.swallow(); return nil }
	refuse := func() error {
		network.refusing.Store(true)
		defer network.refusing.Store(false)
		network.cut()
		return inst.pass(ctx, o.Refusal)
	}
	for _, fault := range []struct {
		name string
		do   func() error
	}{{"swallowed", swallow}, {"refused", refuse}} {
		back, err := o.back(ctx, inst, ledger, fault.do)
		if err != nil {
			finish()
			return nil, err
		}
		row.atMost("s until mail is stored after connections were "+fault.name, back, o.Back)
	}
	finish()
	<-ended
	told, err := repliesOf(ctx, inst.Admin, "451")
	if err != nil {
		return nil, err
	}
	row.atMost("messages told 451", told, 0)
	receipts, err := ledger.Receipts()
	if err != nil {
		return nil, err
	}
	gateway.S3.Endpoint = fleet.Store.Endpoint
	found, err := drill.Audit(ctx, gateway, receipts)
	if err != nil {
		return nil, err
	}
	row.all("every 250 kept", len(receipts)-len(found.Lost)-len(found.Altered), len(receipts))
	return row, nil
}

// back lets the load run steadily, brings a fault, and returns the seconds from its end
// until a second's worth of mail was answered 250.
func (o SilentStore) back(ctx context.Context, inst *instance, ledger *client.Ledger, fault func() error) (float64, error) {
	if err := inst.pass(ctx, time.Second); err != nil {
		return 0, err
	}
	before, _ := ledger.Len()
	if err := inst.pass(ctx, o.Steady); err != nil {
		return 0, err
	}
	now, _ := ledger.Len()
	enough := max(1, int(0.8*float64(now-before)/o.Steady.Seconds()))
	if err := fault(); err != nil {
		return 0, err
	}
	began := time.Now()
	const step = 50 * time.Millisecond
	window := make([]int, time.Second/step)
	for i := 0; ; i++ {
		if err := inst.pass(ctx, step); err != nil {
			return 0, err
		}
		now, _ := ledger.Len()
		then := window[i%len(window)]
		window[i%len(window)] = now
		// The second that was as good as before began a window ago.
		if since := time.Since(began); then > 0 && now-then >= enough {
			return max(0, (since - time.Second).Seconds()), nil
		} else if since > time.Minute {
			return since.Seconds(), nil
		}
	}
}

// repliesOf returns how many replies of a code the gateway has sent.
func repliesOf(ctx context.Context, admin, code string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	total := 0.0
	for line := range strings.Lines(string(text)) {
		var n float64
		if labels, value, found := strings.Cut(line, "} "); found &&
			strings.HasPrefix(labels, "sluice_replies_total{") && strings.Contains(labels, `code="`+code+`"`) {
			_, _ = fmt.Sscan(value, &n)
			total += n
		}
	}
	return total, err
}

// relay passes connections on to a server.
type relay struct {
	listener net.Listener
	upstream string
	refusing atomic.Bool // closes new connections at once

	mu    sync.Mutex
	conns map[*relayed]struct{}
}

// relayed is a connection and its other half.
type relayed struct {
	client, server net.Conn
	silent         atomic.Bool // takes all, passes nothing on
}

func openRelay(upstream string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, upstream: upstream, conns: map[*relayed]struct{}{}}
	go r.accept()
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) close() {
	_ = r.listener.Close()
	r.cut()
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		var server net.Conn
		if !r.refusing.Load() {
			server, err = net.Dial("tcp", r.upstream)
		}
		if server == nil || err != nil {
			_ = c.Close()
			continue
		}
		pair := &relayed{client: c, server: server}
		r.mu.Lock()
		r.conns[pair] = struct{}{}
		r.mu.Unlock()
		go r.pass(pair, server, c)
		go r.pass(pair, c, server)
	}
}

// pass copies from one half to the other until one ends. A silent one only reads.
func (r *relay) pass(pair *relayed, to, from net.Conn) {
	defer r.end(pair)
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if pair.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (r *relay) end(pair *relayed) {
	_, _ = pair.client.Close(), pair.server.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, pair)
}

// swallow makes every open connection silent.
func (r *relay) swallow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pair := range r.conns {
		pair.silent.Store(true)
	}
}

// cut ends every open connection.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pair := range r.conns {
		_, _ = pair.client.Close(), pair.server.Close()
	}
}

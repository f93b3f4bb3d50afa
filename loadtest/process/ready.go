package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// FreeAddress is a TCP address on loopback that nobody listens on. It is taken
// from below the ports that the kernel gives to connecting clients (32768 and
// up): otherwise a client could take it while a server is restarted, or even,
// by a simultaneous open, be connected to itself.
func FreeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		listener.Close()
		return address, nil
	}
	return "", fmt.Errorf("no free port on loopback")
}

// AwaitListening waits until address takes connections.
func (p *Process) AwaitListening(ctx context.Context, address string) error {
	return p.await(ctx, "nobody listens on "+address, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// AwaitOK waits until url answers 200.
func (p *Process) AwaitOK(ctx context.Context, url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	return p.await(ctx, url+" is not 200", func() bool {
		reply, err := client.Get(url)
		if err != nil {
			return false
		}
		reply.Body.Close()
		return reply.StatusCode == http.StatusOK
	})
}

// await asks again until the answer is yes, the process ends or ctx does.
func (p *Process) await(ctx context.Context, complaint string, yes func() bool) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !yes() {
		select {
		case <-p.ended:
			return fmt.Errorf("%s: the process has ended (%w):\n%s", complaint, p.err, p.Output())
		case <-ctx.Done():
			return fmt.Errorf("%s: %w:\n%s", complaint, ctx.Err(), p.Output())
		case <-again.C:
		}
	}
	return nil
}
